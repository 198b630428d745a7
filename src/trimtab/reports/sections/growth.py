"""How the plan came to be what it is, where it grew: each fragment and why it was added."""

from __future__ import annotations

from collections.abc import Sequence

from trimtab.reports.data.content import Content
from trimtab.reports.data.run import RunData
from trimtab.reports.draw.tables import Table
from trimtab.reports.sections.base import NoConfig, Section, View

__all__ = ["Growth"]


class Step(Content):
    """One fragment: why it was added, and how many cells, fits and judges it brought."""

    number: int
    reason: str
    cells: int
    fits: int
    judges: int


class GrowthContent(Content):
    """The fragments in order."""

    fragments: tuple[Step, ...]


class Growth(Section[NoConfig, GrowthContent]):
    """What was decided on records, step by step; a plan that did not grow has nothing to tell."""

    Config = NoConfig
    part = "methods"
    order = 106

    def read(self, run: RunData) -> GrowthContent | None:
        """Return the fragments; None where there is one only."""
        if len(run.whole.plan.fragments) < 2:
            return None
        steps = tuple(
            Step(
                number=fragment.number,
                reason=fragment.reason,
                cells=len(fragment.cells),
                fits=len(fragment.fits),
                judges=len(fragment.judges),
            )
            for fragment in run.whole.plan.fragments
        )
        return GrowthContent(fragments=steps)

    def tables(self, view: View[GrowthContent]) -> Sequence[Table]:
        """Return a row per fragment."""
        rows = tuple(
            (f"{step.number}", step.reason, step.cells, step.fits, step.judges)
            for step in view.content.fragments
        )
        columns = ("fragment", "reason", "cells", "fits", "judges")
        note = "A fragment follows from the configuration and the records of those before it."
        return [Table("growth", "How the plan grew", columns, rows, note)]
