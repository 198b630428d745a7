"""Steering along behaviours, side by side."""
