"""One packed forward pass, and what it keeps: attention, cache, head, checks for NaN."""
