"""What is kept of one cell's rows: numbers in arrays, while the records themselves are let go.

Dimensions: N rows of the cell, M metrics of its block.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from trimtab.core.types import Completion, Score
from trimtab.reports.data.metrics import Floats, MetricRef
from trimtab.reports.data.source import RowKey

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class CellRows:
    """The rows of one cell.

    Attributes:
        units_N: Which question each is of, as its number in the block.
        values_NM: What judges gave; NaN where they gave nothing, or the row holds an error.
        texts: A hash of each text, equal for texts that differ in case and spaces alone; None where
            there is none. Empty where nobody compares texts.
        errors: Rows that ended in an error.
        truncated: Rows that were cut at the token limit.
        unknown: Whether there is a row of which nobody knows why it ended.
        protocols: The procedures they were made by.
        decides: Whether an intervention chose a strength or read a gate in any.
    """

    units_N: Ints
    values_NM: Floats
    texts: list[bytes | None]
    errors: int
    truncated: int
    unknown: bool
    protocols: frozenset[str]
    decides: bool

    @property
    def num_rows(self) -> int:
        """How many rows there are."""
        return int(self.units_N.size)


def reduce_cell(
    completions: Mapping[RowKey, Completion],
    scores: Mapping[str, Mapping[RowKey, Score]],
    metrics: Sequence[MetricRef],
    numbers: Mapping[str, int],
    *,
    with_texts: bool,
) -> CellRows:
    """Return what is kept of a cell's rows, in the order of ``completions``.

    Args:
        completions: Its completions; all of samples that ``numbers`` holds.
        scores: Its scores by judge.
        metrics: The metrics of the block; those that are derived are left NaN.
        numbers: Sample id -> number of its question.
        with_texts: Whether texts are compared.
    """
    rows = completions.values()
    reasons = [row.finish_reason for row in rows]
    return CellRows(
        units_N=np.fromiter((numbers[row.sample_id] for row in rows), np.int64, len(rows)),
        values_NM=_values(completions, scores, metrics),
        texts=[_hash(row) for row in rows] if with_texts else [],
        errors=sum(row.error is not None or row.finish_reason == "error" for row in rows),
        truncated=reasons.count("length"),
        unknown="unknown" in reasons,
        protocols=frozenset(row.protocol for row in rows),
        decides=any(row.strengths or row.gates for row in rows),
    )


def _values(
    completions: Mapping[RowKey, Completion],
    scores: Mapping[str, Mapping[RowKey, Score]],
    metrics: Sequence[MetricRef],
) -> Floats:
    places = {key: n for n, (key, row) in enumerate(completions.items()) if row.error is None}
    columns = [[math.nan] * len(completions) for _ in metrics]
    for judge, given in scores.items():
        own = {ref.metric.name: columns[m] for m, ref in enumerate(metrics) if ref.judge == judge}
        if not own:
            continue
        for key, score in given.items():
            place = places.get(key)
            if place is not None:
                for name, value in score.values.items():
                    if name in own and value is not None:
                        own[name][place] = value
    values_NM = np.array(columns, dtype=np.float64).reshape(len(metrics), len(completions)).T
    return np.where(np.isfinite(values_NM), values_NM, math.nan)


def _hash(row: Completion) -> bytes | None:
    if row.error is not None or row.text is None:
        return None
    text = " ".join(row.text.split()).casefold()
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
