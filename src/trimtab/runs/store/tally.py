"""Counts over the rows of one cell, or over one judge's scores of it: what checks tell of rows."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from trimtab.core.types import Completion, Score


@dataclass(frozen=True)
class Tally:
    """What rows hold, after they were let go.

    Attributes:
        rows: How many there are.
        errors: Those with an error.
        non_finite: Completions with NaN or infinity in them.
        scored: Scores with a value.
        abstained: Scores without one whose judge gives a reason and no error.
    """

    rows: int = 0
    errors: int = 0
    non_finite: int = 0
    scored: int = 0
    abstained: int = 0


def tally_of(rows: Iterable[Completion | Score]) -> Tally:
    """Count some rows."""
    total = errors = non_finite = scored = abstained = 0
    for row in rows:
        total += 1
        errors += row.error is not None
        if isinstance(row, Score):
            # a judge may know one figure of a text and not another; reports count each
            values = row.values
            known = len(values) > [*values.values()].count(None)
            scored += known
            abstained += not known and row.error is None and row.reason is not None
        else:
            non_finite += not all(map(math.isfinite, _numbers(row)))
    return Tally(total, errors, non_finite, scored, abstained)


def _numbers(row: Completion) -> Iterator[float]:
    if row.logprob is not None:
        yield row.logprob
    yield from row.option_logprobs or ()
    yield from (value for value in row.option_kl or () if value is not None)
    for steps in row.strengths or ():
        yield from steps
    for gate in row.gates or ():
        yield from (gate.value, gate.factor)
