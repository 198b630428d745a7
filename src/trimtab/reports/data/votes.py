"""The verdicts of several judges on the same completions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from trimtab.core.plan import Cell, JudgePlan
from trimtab.core.types import Score
from trimtab.reports.data.source import RowKey

NO_VOTE = -1


@dataclass
class Votes:
    """What several judges say of one metric, all conditions of a block pooled.

    Attributes:
        metric: The metric's name.
        judges: Keys of the judges, J of them.
        units: For each cell, the number of each row's question.
        ballots: For each cell, 1 or 0 of each row and judge, or ``NO_VOTE``, [rows, J].
    """

    metric: str
    judges: tuple[str, ...]
    units: list[npt.NDArray[np.int64]] = field(default_factory=list)
    ballots: list[npt.NDArray[np.int8]] = field(default_factory=list)

    def add(self, scores: Mapping[str, Mapping[RowKey, Score]], numbers: Mapping[str, int]) -> None:
        """Take the scores of a cell by judge; rows of samples that nobody planned don't count."""
        given = [
            {
                key: value > 0.5
                for key, score in scores[judge].items()
                if (value := score.values.get(self.metric)) is not None and math.isfinite(value)
            }
            for judge in self.judges
        ]
        keys = [
            key for key in dict.fromkeys(k for some in given for k in some) if key[1] in numbers
        ]
        columns = [[some.get(key, NO_VOTE) for key in keys] for some in given]
        self.units.append(np.array([numbers[key[1]] for key in keys], dtype=np.int64))
        self.ballots.append(np.array(columns, dtype=np.int8).reshape(len(given), len(keys)).T)


def shared_verdicts(judges: Sequence[JudgePlan], cell: Cell) -> list[Votes]:
    """Return, without rows, each verdict that several judges give of the block of ``cell``.

    Members of panels are among them, and the panel itself is not: it is made of their votes.
    """
    by_metric: dict[str, list[str]] = {}
    for judge in judges:
        if not judge.members and judge.scores(cell):
            for metric in judge.metrics:
                if metric.kind == "binary":
                    by_metric.setdefault(metric.name, []).append(judge.key)
    return [Votes(name, tuple(keys)) for name, keys in by_metric.items() if len(keys) > 1]
