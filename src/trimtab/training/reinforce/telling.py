"""How far a cohort is and how each condition does, told now and then; nothing depends on it."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trimtab.training.reinforce.cohort import Progress

_SECONDS_BETWEEN_LINES = 20.0
_SHOWN = {"reward": "reward", "true": "actual", "grade": "grade"}


class Telling:
    """Says rounds done, what is left, and means of the runs of each condition."""

    def __init__(
        self,
        tell: Callable[[str], None],
        seconds: float = _SECONDS_BETWEEN_LINES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Tell ``tell`` a line at most every so many ``seconds`` of ``clock``."""
        self._tell, self._seconds, self._clock = tell, seconds, clock
        self._began = self._told = clock()
        self._first: int | None = None
        self._sums: dict[str, dict[str, list[float]]] = {}

    def __call__(self, progress: Progress) -> None:
        """Take in a round, and say where things are unless that was said just now."""
        if self._first is None:
            self._first = progress.round - 1
        self._gather(progress.runs)
        now = self._clock()
        if progress.round >= progress.rounds or now - self._told < self._seconds:
            return
        self._told = now
        pace = (now - self._began) / (progress.round - self._first)
        left = pace * (progress.rounds - progress.round)
        means = "; ".join(f"{name} {_means(sums)}" for name, sums in self._sums.items())
        self._sums = {}
        self._tell(
            f"cohort: {progress.round} of {progress.rounds} rounds, {1 / max(pace, 1e-9):.2g} a "
            f"second, {_duration(left)} left; {means}"
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


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
