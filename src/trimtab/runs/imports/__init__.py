"""Runs made of what something else generated or labelled."""
