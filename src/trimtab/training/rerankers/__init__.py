"""Rerankers: energy models that are trained on labelled candidates."""
