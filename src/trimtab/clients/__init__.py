"""Judges and models behind an HTTP interface, and a scripted stand-in."""
