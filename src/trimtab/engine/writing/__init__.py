"""Texts, token by token."""
