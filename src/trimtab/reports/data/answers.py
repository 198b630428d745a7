"""Answers that a page can show, kept while the rows of a run pass by.

A page stays small enough to open at once, however many rows a run has: of a large run it holds the
answers to some questions, drawn by the hash of their ids. What can't be among them is let go.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from trimtab.core.keys import content_key
from trimtab.core.types import Completion

MAX_BYTES = 3_000_000
"""Of all measures together, escapes included; one question of each is shown whatever it takes."""

# What an answer takes at least beside its text: brackets, commas, the reason why it ended.
_LEAST_BYTES = 16


class Answer(NamedTuple):
    """One answer; ``row`` is its number in the rows of its cell."""

    text: str | None
    finish_reason: str
    error: str | None
    row: int


class Answers:
    """The answers to the questions of a block that come first by the hash of their ids."""

    def __init__(self, max_bytes: int) -> None:
        """Keep at least as many answers as fit into ``max_bytes``."""
        self._max_bytes = max_bytes
        self._ranks: dict[str, str] = {}
        self._last: str | None = None
        self._kept: dict[str, dict[tuple[str, int], Answer]] = {}
        self._sizes: dict[str, int] = {}

    def rank(self, sample: str) -> str:
        """Return where a sample stands among others; the lowest come first."""
        if sample not in self._ranks:
            self._ranks[sample] = content_key(sample)
        return self._ranks[sample]

    def get(self, cell: str, sample: str, index: int) -> Answer | None:
        """Return an answer; None where there is none."""
        return self._kept.get(sample, {}).get((cell, index))

    def add(self, cell: str, rows: Iterable[Completion]) -> None:
        """Take the rows of a cell, then let go of the questions for which there is no place."""
        for number, row in enumerate(rows):
            sample = row.sample_id
            if self._last is None or self.rank(sample) <= self._last:
                answer = Answer(row.text, row.finish_reason, row.error, number)
                self._kept.setdefault(sample, {})[cell, row.index] = answer
                size = self._sizes.get(sample, 0)
                self._sizes[sample] = size + len(row.text or "") + _LEAST_BYTES
        self._let_go()

    def _let_go(self) -> None:
        """Drop what comes after the questions that fill a page by the least that they take."""
        if sum(self._sizes.values()) <= self._max_bytes:
            return
        size = 0
        order = sorted(self._kept, key=self.rank)
        for place, sample in enumerate(order):
            size += self._sizes[sample]
            if place and size > self._max_bytes:
                self._last = self.rank(sample)
                for other in order[place + 1 :]:
                    del self._kept[other], self._sizes[other]
                return
