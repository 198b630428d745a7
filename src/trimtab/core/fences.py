"""What is asked before something is written where another worker may have taken over meanwhile."""

from __future__ import annotations

from collections.abc import Callable

Fence = Callable[[], None]
"""Raises HeldError if whoever asks may not write any more."""


def unfenced() -> None:
    """Let whoever asks write: nobody else is there."""
