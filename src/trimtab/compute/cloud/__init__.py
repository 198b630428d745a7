"""Rented machines: what they cost, launched with a cap, and ended whatever happens."""
