"""Intervals, paired tests, reducers and agreement; pure functions on numbers, free of torch."""
