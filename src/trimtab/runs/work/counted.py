"""How far a large run is, counted by the lines of its files: none of its rows is read.

Counting lines is cheaper than reading the keys of rows. What is
damaged or repeated counts as well, and whoever shows these figures says so.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from trimtab.core.plan import Cell, JudgePlan
from trimtab.runs.store.claims import holder_of
from trimtab.runs.store.run import Run
from trimtab.runs.work.standing import Tally, hindrances
from trimtab.runs.work.units import cells_of

LARGE_BYTES = 32_000_000
"""Of completions and scores together."""

HOW = (
    "counted by lines, as the run is large: damaged and repeated rows are among them; "
    "`trimtab verify` reads each"
)

_UNITS = ("fit-", "window-", "score-")


def is_large(run: Run) -> bool:
    """Return whether a run is so large that its rows are counted by lines."""
    return run.num_bytes() > LARGE_BYTES


class Counted:
    """Lines of a run, counted when it is made."""

    def __init__(self, run: Run) -> None:
        """Count the completions and scores of every cell."""
        self.run = run
        sizes = {key: run.num_samples(key) for key in {cell.samples for cell in run.plan.cells}}
        self._planned = {c.key: sizes[c.samples] * c.num_samples for c in run.plan.cells}
        self._completions = {cell.key: run.num_lines(cell.key) for cell in run.plan.cells}
        self._scores = {judge.key: self._of_judge(judge) for judge in run.judges()}
        self._artifacts = {key for key in run.plan.artifact_keys() if not run.has_artifact(key)}

    @property
    def rows_owed(self) -> int:
        """How many completions are missing, if no line is damaged or repeated."""
        return self._missing(self.run.plan.cells)

    @property
    def scores_owed(self) -> list[str]:
        """The keys of the judges of which scores are missing, by the same count."""
        return [key for key, (_, owed) in self._scores.items() if owed]

    def tallies(self) -> Iterator[Tally]:
        """Yield how far each phase is, as ``standing.tallies`` does."""
        total = len(set(self.run.plan.artifact_keys()))
        yield Tally("fit", total - len(self._artifacts), len(self._artifacts))
        yield Tally("generate", sum(self._completions.values()), self.rows_owed)
        for key, (done, owed) in self._scores.items():
            yield Tally(f"score {key}", done, owed)

    def standing(self) -> list[str]:
        """Return a line for each unit that a worker holds, and one for each phase that waits."""
        if not (self.rows_owed or self._artifacts):
            return list(self._held())
        return [*self._held(), *self._waiting(), *hindrances(self.run)]

    def _of_judge(self, judge: JudgePlan) -> tuple[int, int]:
        """Return how many scores of a judge are there, and how many are not."""
        cells = cells_of(self.run, judge)
        done = sum(self.run.num_lines(cell.key, judge.key) for cell in cells)
        return done, max(sum(self._planned[cell.key] for cell in cells) - done, 0)

    def _held(self) -> Iterator[str]:
        try:
            names = sorted(os.listdir(self.run.dir / "claims"))
        except OSError:
            return
        for name in names:
            holder = holder_of(self.run.dir, name) if name.startswith(_UNITS) else None
            if holder is not None:
                yield f"at work: {name}, {holder}"

    def _waiting(self) -> Iterator[str]:
        cells = self.run.plan.cells
        waits = [cell for cell in cells if self._lacks(cell) and self._missing([cell])]
        if waits:
            keys = {key for cell in waits for key in self._lacks(cell)}
            yield f"waiting: generate, {len(waits)} cells, for {len(keys)} artifacts"
        for judge in self.run.judges():
            missing = self._missing(cells_of(self.run, judge))
            if missing:
                yield f"waiting: score {judge.component.name}, for {missing} completions"

    def _lacks(self, cell: Cell) -> list[str]:
        return [key for key in cell.artifacts.values() if key in self._artifacts]

    def _missing(self, cells: Iterable[Cell]) -> int:
        return sum(max(self._planned[c.key] - self._completions[c.key], 0) for c in cells)
