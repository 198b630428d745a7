"""How far a cohort is and how each condition does, told now and then; nothing depends on it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from trimtab.training.pace import Intervals, duration

if TYPE_CHECKING:
    from trimtab.training.reinforce.cohort import Progress

_SHOWN = {"reward": "reward", "true": "actual", "grade": "grade"}


class Telling:
    """Says rounds done, what is left, and means of the runs of each condition."""

    def __init__(self, tell: Callable[[str], None], intervals: Intervals | None = None) -> None:
        """Tell ``tell`` a line now and then."""
        self._tell, self._intervals = tell, intervals or Intervals()
        self._has_begun = False
        self._sums: dict[str, dict[str, list[float]]] = {}

    def __call__(self, progress: Progress) -> None:
        """Take in a round, and say where things are unless that was said just now."""
        if not self._has_begun:
            self._has_begun = True
            self._intervals.count_from(progress.round - 1)
        self._gather(progress.runs)
        each = self._intervals.due(progress.round, progress.rounds)
        if each is None:
            return
        left = duration(each * (progress.rounds - progress.round))
        means = "; ".join(f"{name} {_means(sums)}" for name, sums in self._sums.items())
        self._sums = {}
        self._tell(
            f"cohort: {progress.round} of {progress.rounds} rounds, {1 / max(each, 1e-9):.2g} a "
            f"second, {left} left; {means}"
        )

    def _gather(self, runs: Mapping[str, Mapping[str, Any]]) -> None:
        """Add the round of each run to its condition's, since the last line."""
        for run, row in runs.items():
            sums = self._sums.setdefault(run.rpartition("-")[0] or run, defaultdict(list))
            for name in _SHOWN:
                if row.get(name) is not None:
                    sums[name].append(row[name])


def _means(sums: Mapping[str, list[float]]) -> str:
    known = [(shown, sums[name]) for name, shown in _SHOWN.items() if sums.get(name)]
    return ", ".join(f"{shown} {sum(some) / len(some):.2f}" for shown, some in known) or "nothing"
