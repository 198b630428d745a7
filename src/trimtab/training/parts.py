"""Rows that are computed together: parts of a batch that fit into memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol


class HasTokens(Protocol):
    """A row of tokens."""

    @property
    def tokens(self) -> tuple[int, ...]:
        """Their ids."""
        ...


def parts_of(
    rows: Sequence[HasTokens], items: Sequence[int], most_tokens: int
) -> Iterator[list[int]]:
    """Yield ``items`` in parts of at most ``most_tokens`` tokens, rows of like length together.

    A row that is longer is a part of its own. Rows of a part are as long as its longest when tokens
    are counted, since attention is computed in rectangles.
    """
    part: list[int] = []
    for item in sorted(items, key=lambda item: -len(rows[item].tokens)):
        longest = len(rows[part[0]].tokens) if part else 0
        if part and longest * (len(part) + 1) > most_tokens:
            yield part
            part = []
        part.append(item)
    if part:
        yield part
