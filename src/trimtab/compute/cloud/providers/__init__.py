"""Providers of machines, a file each: the name in the settings is the file's name."""
