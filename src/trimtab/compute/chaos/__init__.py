"""Faults that are played on runs of an experiment, and what they lost: nothing, it is hoped."""
