"""YAML in, cells out: one file per experiment; a folder registry."""
