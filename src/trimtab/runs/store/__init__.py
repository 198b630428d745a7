"""The run directory: what was planned, what is there, who works on it."""
