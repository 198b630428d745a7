"""The phases that fill a run, and the honesty checks after each."""
