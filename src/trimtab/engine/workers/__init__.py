"""Processes that share a model's memory, each on some threads."""
