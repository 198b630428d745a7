"""What of a run is there and what is owed, read once and asked often."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from trimtab.core.counted import counted
from trimtab.core.plan import Cell
from trimtab.core.presence import RowKey
from trimtab.runs.store.run import Run
from trimtab.runs.work.units import FitUnit, ScoreUnit, Unit, WindowUnit


class State:
    """A run at one moment; make a new one to see what other workers have done since.

    Attributes:
        run: The run.
        partial: Whether a judge may score a window of which completions are missing: where nothing
            generates them now. Otherwise windows wait, so that batches have their undisturbed
            shapes.
    """

    def __init__(self, run: Run, *, partial: bool = False) -> None:
        """Look at ``run``."""
        self.run, self.partial = run, partial
        self._completions: dict[str, frozenset[RowKey]] = {}
        self._scores: dict[tuple[str, str], frozenset[RowKey]] = {}
        self._artifacts: dict[str, bool] = {}
        self._cells: dict[str, Cell] = {cell.key: cell for cell in run.plan.cells}

    def completions(self, cell: str) -> frozenset[RowKey]:
        """Return the keys of the completions of a cell."""
        if cell not in self._completions:
            self._completions[cell] = self.run.completion_keys(cell)
        return self._completions[cell]

    def scores(self, judge: str, cell: str) -> frozenset[RowKey]:
        """Return the keys of a judge's scores of a cell."""
        if (judge, cell) not in self._scores:
            self._scores[judge, cell] = self.run.score_keys(judge, cell)
        return self._scores[judge, cell]

    def has_artifact(self, key: str) -> bool:
        """Return whether an artifact is there."""
        if key not in self._artifacts:
            self._artifacts[key] = self.run.has_artifact(key)
        return self._artifacts[key]

    def owed(self, unit: Unit) -> list[RowKey]:
        """Return the rows that a unit is to write now; of a fit a key that stands for it."""
        if isinstance(unit, FitUnit):
            keys = unit.plan.artifacts.values()
            return [(key, "", 0) for key in keys if not self.has_artifact(key)]
        made = {cell: self.completions(cell) for cell in unit.cells}
        if isinstance(unit, WindowUnit):
            left = set(unit.rows).difference(*made.values())
        else:
            scored = [self.scores(unit.judge.key, cell) for cell in unit.cells]
            left = {row for row in set(unit.rows).difference(*scored) if row in made[row[0]]}
        return [row for row in unit.rows if row in left] if left else []

    def is_ready(self, unit: Unit) -> bool:
        """Return whether a unit owes rows and everything that it names is there."""
        return bool(self.owed(unit)) and self.blocker(unit) is None

    def blocker(self, unit: Unit) -> str | None:
        """Return what a unit waits for, in a few words; None if it can be done."""
        if isinstance(unit, FitUnit):
            return self._blocker_of_fit(unit)
        if isinstance(unit, WindowUnit):
            keys = {key for cell in unit.cells for key in self._cells[cell].artifacts.values()}
            missing = [key for key in keys if not self.has_artifact(key)]
            return f"{len(missing)} of {len(keys)} artifacts" if missing else None
        return self._blocker_of_score(unit)

    def _blocker_of_fit(self, unit: FitUnit) -> str | None:
        for ref in unit.plan.completions.values():
            for cell in ref.cells:
                missing = len(self.run.owed(self._cells[cell]))
                if missing:
                    return f"{counted(missing, 'completion')} of {self._cells[cell].condition}"
                for judge in ref.judges:
                    unscored = len(self.completions(cell) - self.scores(judge, cell))
                    if unscored:
                        return f"{counted(unscored, 'score')} by {judge}"
        return self._unfitted(unit.plan.made.values())

    def _unfitted(self, keys: Iterable[str]) -> str | None:
        missing = next((key for key in keys if not self.has_artifact(key)), None)
        return None if missing is None else f"the fit of {missing}"

    def _blocker_of_score(self, unit: ScoreUnit) -> str | None:
        unfitted = self._unfitted(unit.judge.artifacts.values())
        if unfitted is not None:
            return unfitted
        owed = self.owed(unit)
        for member in unit.judge.members:
            late = [row for row in owed if row not in self.scores(member, row[0])]
            if late:
                return f"{counted(len(late), 'score')} by {member}"
        if self.partial:
            return None
        absent = sum(row not in self.completions(row[0]) for row in unit.rows)
        return counted(absent, "completion") if absent else None


def rows_of(state: State, units: Sequence[Unit]) -> tuple[int, int]:
    """Return how many rows units have in all, and how many of them are there."""
    total = sum(len(_planned(unit)) for unit in units)
    return total, total - sum(len(_missing(state, unit)) for unit in units)


def lacks_rows(state: State, unit: Unit) -> bool:
    """Return whether anything of a unit is missing, whether it can be done yet or not."""
    return bool(_missing(state, unit))


def _planned(unit: Unit) -> Sequence[object]:
    return list(unit.plan.artifacts) if isinstance(unit, FitUnit) else unit.rows


def _missing(state: State, unit: Unit) -> Sequence[object]:
    if isinstance(unit, ScoreUnit):
        return [row for row in unit.rows if row not in state.scores(unit.judge.key, row[0])]
    return state.owed(unit)
