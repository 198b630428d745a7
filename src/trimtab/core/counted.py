"""How many there are of something, in words."""

from __future__ import annotations


def counted(number: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun: ``1 row``, ``2 rows``, ``3 windows of rows``.

    Args:
        number: How many.
        noun: What one of them is called.
        plural: What several are called, where that is not the noun with an s.
    """
    return f"{number} {noun if number == 1 else plural or noun + 's'}"
