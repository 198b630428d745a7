"""What a training computes, told roughly before anything is spent. No torch here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from trimtab.core.types import Message

CHARACTERS_PER_TOKEN = 4
"""Of prose; a rough figure for rough estimates."""


@dataclass(frozen=True)
class Workload:
    """Passes of a training through the model.

    Attributes:
        updates: Most updates that it makes, over all its runs.
        learned: Tokens that are computed forward and backward.
        read: Tokens that are computed forward alone, of prompts and by the base.
        written: Tokens that are written, to learn from and where it is looked at on the way.
    """

    updates: int
    learned: float
    read: float = 0.0
    written: float = 0.0


def tokens_of(messages: Sequence[Message], *texts: str) -> float:
    """Return about how many tokens messages and texts have together."""
    characters = sum(len(message.content) for message in messages) + sum(map(len, texts))
    return characters / CHARACTERS_PER_TOKEN
