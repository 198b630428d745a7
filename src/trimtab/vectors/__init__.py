"""Steering vectors as files: trimtab's own, and those of other programs."""
