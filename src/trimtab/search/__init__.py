"""The search for a configuration: space, samplers, pruning, outcome."""
