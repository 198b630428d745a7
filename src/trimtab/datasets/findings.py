"""What was found wrong with a file that somebody else made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """Something wrong with a file: what, and the lines that it was found on."""

    what: str
    detail: str


def lines_shown(lines: Sequence[int]) -> str:
    """Return the numbers of lines for a message, the first eight of them."""
    return ", ".join(map(str, lines[:8])) + (", ..." if len(lines) > 8 else "")
