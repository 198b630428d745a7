"""Kinds of faults, a file each: the name on the command line is the file's name."""
