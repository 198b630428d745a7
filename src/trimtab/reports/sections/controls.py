"""Each treatment against the controls: the prompt, and random vectors of equal norm."""

from __future__ import annotations

from collections.abc import Sequence

from trimtab.reports.data.conditions import TREATMENT
from trimtab.reports.data.content import Content
from trimtab.reports.data.numbers import Reference
from trimtab.reports.data.run import RunData
from trimtab.reports.draw.format import form_of, label
from trimtab.reports.draw.tables import Table
from trimtab.reports.draw.values import Cell, changed, probability
from trimtab.reports.sections.base import NoConfig, Section, View

__all__ = ["Controls"]

_TITLES: dict[Reference, str] = {
    "prompt": "Against the prompt",
    "random": "Against random vectors of equal norm",
}


class ControlsContent(Content):
    """How many treatments x effect metrics are compared with each control."""

    comparisons: dict[Reference, int]


class Controls(Section[NoConfig, ControlsContent]):
    """Paired differences of the treatments to each control; the numbers are in ``measures``."""

    Config = NoConfig
    order = 70

    def read(self, run: RunData) -> ControlsContent | None:
        """Return the sizes of the families; None if nothing is compared with a control."""
        families = run.numbers.families
        sizes = {name: families[name].tests for name in _TITLES if families[name].tests}
        return ControlsContent(comparisons=sizes) if sizes else None

    def tables(self, view: View[ControlsContent]) -> Sequence[Table]:
        """Return a table per control."""
        return [
            _table(view.run, reference)
            for reference in _TITLES
            if reference in view.content.comparisons
        ]


def _table(run: RunData, reference: Reference) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for condition in run.shown.labels(TREATMENT):
        for name, measure, metric in run.shown.metrics():
            numbers = measure.numbers(condition, metric.id)
            comparison = None if numbers is None else numbers.against(reference)
            if metric.role == "effect" and comparison is not None:
                tally = f"{comparison.wins} / {comparison.losses} / {comparison.ties}"
                change = changed(comparison, form_of(metric))
                p = probability(comparison.p_holm)
                rows.append((condition, name, label(metric), change, p, tally))
    columns = ("condition", "measure", "metric", "Δ", "p (Holm)", "wins / losses / ties")
    tests = run.shown.families[reference].tests
    note = f"Paired differences; * p < 0.05 after Holm's correction over {tests} tests."
    title = _TITLES[reference]
    return Table(f"against_{reference}", title, columns, tuple(rows), note, display="folded")
