"""Activations that were read once: kept, and found again by all that determines them."""
