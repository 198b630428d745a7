"""The run directory and the phases that fill it."""
