"""The smallest pieces of work that a worker claims: a fit, a window of rows, a judge's window.

Windows depend on the plan alone and are cut inside a fragment, so a plan that grows re-cuts
nothing. A window with a missing row is computed as a whole again, and rows that are there already
are dropped: floating-point sums depend on the shape of a batch, and this way a resumed run repeats
the shapes of an undisturbed one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from trimtab.core.plan import Cell, FitPlan, Fragment, JudgePlan
from trimtab.core.presence import RowKey
from trimtab.runs.store.run import Run

Kind = Literal["fit", "generate", "score"]
KINDS: tuple[Kind, ...] = ("fit", "generate", "score")
"""The phases in their order."""


@dataclass(frozen=True)
class FitUnit:
    """One fit. One that reads completions belongs to the phase that scores them."""

    plan: FitPlan

    @property
    def kind(self) -> Kind:
        """The phase it belongs to."""
        return "score" if self.plan.completions else "fit"

    @property
    def name(self) -> str:
        """What claims call it."""
        return f"fit-{self.plan.key}"

    @property
    def model_identity(self) -> str | None:
        """The model it needs, if any."""
        return self.plan.model_identity


@dataclass(frozen=True)
class WindowUnit:
    """Rows that are generated together.

    Attributes:
        fragment: Number of the fragment.
        number: Of the window, within the fragment.
        model_identity: The model of all rows.
        rows: Their keys, in the order in which they are asked for.
    """

    fragment: int
    number: int
    model_identity: str
    rows: tuple[RowKey, ...]
    kind: Kind = "generate"

    @property
    def name(self) -> str:
        """What claims call it."""
        return f"window-{self.fragment:04d}-{self.number:06d}"

    @cached_property
    def cells(self) -> tuple[str, ...]:
        """Keys of the cells that have rows in it."""
        return tuple(dict.fromkeys(row[0] for row in self.rows))


@dataclass(frozen=True)
class ScoreUnit:
    """Completions that a judge scores together.

    Attributes:
        judge: The judge.
        fragment: Number of the fragment that the completions are of.
        number: Of the window, within judge and fragment.
        rows: Keys of the completions, in the order in which they are asked for.
    """

    judge: JudgePlan
    fragment: int
    number: int
    rows: tuple[RowKey, ...]
    kind: Kind = "score"

    @property
    def name(self) -> str:
        """What claims call it."""
        return f"score-{self.judge.key}-{self.fragment:04d}-{self.number:06d}"

    @property
    def model_identity(self) -> str | None:
        """The model it needs, if any."""
        return self.judge.model_identity

    @cached_property
    def cells(self) -> tuple[str, ...]:
        """Keys of the cells that have rows in it."""
        return tuple(dict.fromkeys(row[0] for row in self.rows))


Unit = FitUnit | WindowUnit | ScoreUnit


def num_units(run: Run) -> dict[Kind, int]:
    """Return how many units of each kind the plan has as it stands."""
    return dict(Counter(unit.kind for unit in units(run)))


def units(run: Run, kinds: Sequence[Kind] = KINDS) -> list[Unit]:
    """Return every unit of ``kinds``, done or not, in the order of plan and phases."""
    fits = [FitUnit(fit) for fit in run.plan.fits]
    found: list[Unit] = [unit for unit in fits if unit.kind in kinds]
    for fragment in run.plan.fragments:
        if "generate" in kinds:
            found += windows(run, fragment)
        if "score" in kinds:
            for judge in run.judges():
                found += score_windows(run, judge, fragment)
    return found


def windows(run: Run, fragment: Fragment) -> Iterator[WindowUnit]:
    """Yield the windows of a fragment: all cells of a sample side by side.

    Cells share windows if they have the same samples, model and kind of output. Rows that were
    taken over from another run are in no window.
    """
    groups: dict[tuple[str, str, str, str], list[Cell]] = {}
    for cell in fragment.cells:
        key = (cell.model_identity, cell.model.dtype, cell.output, cell.samples)
        groups.setdefault(key, []).append(cell)
    number = 0
    for (identity, *_), group in groups.items():
        rows = [
            (cell.key, sample, index)
            for sample in run.samples(group[0].samples)
            for cell in group
            for index in range(cell.reused, cell.num_samples)
        ]
        for part in _cut(rows, run.plan.window):
            yield WindowUnit(fragment.number, number, identity, part)
            number += 1


def score_windows(run: Run, judge: JudgePlan, fragment: Fragment) -> Iterator[ScoreUnit]:
    """Yield the windows of the completions of a fragment that ``judge`` scores, cell by cell."""
    rows = [
        (cell.key, sample, index)
        for cell in fragment.cells
        if judge.scores(cell)
        for sample in sorted(run.samples(cell.samples))
        for index in range(cell.num_samples)
    ]
    for number, part in enumerate(_cut(rows, run.plan.window)):
        yield ScoreUnit(judge, fragment.number, number, part)


def cells_of(run: Run, judge: JudgePlan) -> list[Cell]:
    """Return the cells that ``judge`` scores."""
    return [cell for cell in run.plan.cells if judge.scores(cell)]


def phase_of(unit: Unit) -> str:
    """Return what the progress calls the phase of ``unit``."""
    if isinstance(unit, ScoreUnit):
        return f"score {unit.judge.component.name}"
    if isinstance(unit, WindowUnit):
        return "generate"
    # a fit of completions is made among the scores, and is told by its judge
    return "fit" if unit.kind == "fit" else f"fit {unit.plan.component.name}"


def _cut(rows: Sequence[RowKey], size: int) -> Iterator[tuple[RowKey, ...]]:
    for start in range(0, len(rows), size):
        yield tuple(rows[start : start + size])
