"""The search for a configuration: its space, what is asked next, what is pruned, what came of it."""
