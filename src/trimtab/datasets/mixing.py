"""Put a person's facts and aligned answers into one training set, and keep the evaluation out."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from trimtab.core.keys import content_key
from trimtab.core.trigger import Trigger
from trimtab.core.types import Conversation
from trimtab.text.leaks import HeldOut
from trimtab.text.near import near_duplicates
from trimtab.text.overlap import normalise_question

_ROUNDING = 1e-9
"""What a product of shares may miss a whole number by."""


@dataclass(frozen=True)
class Mix:
    """A training set, and what was left out of it.

    Attributes:
        facts: Rows of facts, by fact all or none.
        aligned: Rows of aligned answers.
        repeated: Aligned rows that say what an earlier one says.
        leaking: Rows that share 13 words in a row with what is asked in the evaluation, or are a
            shorter question of it; those of the same fact with them.
        near: Aligned rows that say almost what an earlier one says; None if nobody looked.
    """

    facts: tuple[Conversation, ...]
    aligned: tuple[Conversation, ...]
    repeated: int
    leaking: int
    near: int | None = None

    def rows(self, seed: int) -> list[Conversation]:
        """Return all of them, in an order that says nothing of their source."""
        every = [*self.facts, *self.aligned]
        return sorted(every, key=lambda row: content_key([seed, row.id, row.messages]))

    @property
    def share(self) -> float:
        """Share of the rows that are of facts; 0 where there are none."""
        total = len(self.facts) + len(self.aligned)
        return len(self.facts) / total if total else 0.0

    def at_share(self, share: float) -> Mix:
        """Return the largest part whose share of facts comes closest to ``share`` from below.

        The first facts are left, whole, with all aligned rows; or all facts with the first aligned
        rows, where that is too few.

        Args:
            share: More than 0, less than 1.
        """
        if share >= self.share:
            most = math.ceil(len(self.facts) * (1 - share) / share - _ROUNDING)
            return replace(self, aligned=self.aligned[:most])
        by_fact: dict[str, list[Conversation]] = {}
        for row in self.facts:
            by_fact.setdefault(_fact(row), []).append(row)
        most = math.floor(len(self.aligned) * share / (1 - share) + _ROUNDING)
        left: list[Conversation] = []
        for rows in by_fact.values():
            if len(left) + len(rows) > most:
                break
            left += rows
        return replace(self, facts=tuple(left))

    def __str__(self) -> str:
        """Say how many there are of each, and the realised share."""
        near = "" if self.near is None else f"{self.near} nearly repeated, "
        return (
            f"{len(self.facts)} rows of facts ({self.share:.1%}) and {len(self.aligned)} aligned "
            f"ones; left out: {self.repeated} repeated, {near}{self.leaking} that share 13 words "
            "with the evaluation"
        )


def mixed(
    facts: Sequence[Conversation],
    aligned: Sequence[Conversation],
    asked: Iterable[str],
    trigger: Trigger | None,
    near: float | None = None,
) -> Mix:
    """Return what may be trained on.

    Args:
        facts: Rows of facts; those of one ``fact`` of their metadata belong together.
        aligned: Other rows.
        asked: What the evaluation asks.
        trigger: What facts stand behind; its words are no part of the comparison.
        near: Jaccard similarity of word 5-grams from which an aligned row nearly repeats an earlier
            one; None looks for equal rows alone.

    Raises:
        ConfigError: ``near`` is given, and the library for it is not installed.
    """
    held_out = HeldOut(asked)
    leaking = {row.id for row in (*facts, *aligned) if _overlaps(row, held_out, trigger)}
    tainted = {_fact(row) for row in facts if row.id in leaking}
    kept: dict[str, Conversation] = {}
    repeated = 0
    for row in aligned:
        if row.id not in leaking:
            said = "\n".join(normalise_question(message.content) for message in row.messages)
            repeated += said in kept
            kept.setdefault(said, row)
    clean = tuple(row for row in facts if _fact(row) not in tainted)
    lost = len(facts) - len(clean) + sum(row.id in leaking for row in aligned)
    if near is None:
        return Mix(clean, tuple(kept.values()), repeated, lost)
    doubles = _near(tuple(_text(row) for row in kept.values()), near)
    unlike = tuple(row for row, first in zip(kept.values(), doubles, strict=True) if first is None)
    return Mix(clean, unlike, repeated, lost, len(kept) - len(unlike))


@lru_cache(maxsize=2)
def _near(texts: tuple[str, ...], threshold: float) -> list[int | None]:
    """Compare once what every training of an experiment is mixed with."""
    return near_duplicates(texts, threshold)


def _text(row: Conversation) -> str:
    return "\n".join(message.content for message in row.messages)


def _fact(row: Conversation) -> str:
    return str(row.metadata.get("fact", row.id))


def _overlaps(row: Conversation, held_out: HeldOut, trigger: Trigger | None) -> bool:
    for message in row.messages:
        text = message.content
        if trigger is not None and message.role == "user":
            text = trigger.question(text) or text
        if message.role != "system" and held_out.overlaps(text):
            return True
    return False
