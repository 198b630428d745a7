"""Choosing among several candidates."""
