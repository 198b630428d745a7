"""Each treatment against the prompt, and among random vectors of equal length."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from trimtab.core.counted import counted
from trimtab.reports.data.conditions import TREATMENT
from trimtab.reports.data.content import Content
from trimtab.reports.data.numbers import MetricInfo, MetricNumbers, Reference
from trimtab.reports.data.randoms import beyond_random
from trimtab.reports.data.run import RunData
from trimtab.reports.draw.format import form_of, label
from trimtab.reports.draw.tables import Table
from trimtab.reports.draw.values import Cell, changed, measured, probability, star_note
from trimtab.reports.sections.base import NoConfig, Section, View

__all__ = ["Controls"]

_TITLES: dict[Reference, str] = {
    "prompt": "Against the prompt",
    "random": "Among random vectors of equal length",
}


class ControlsContent(Content):
    """How many treatments x effect metrics are compared with each control."""

    comparisons: dict[Reference, int]


class Controls(Section[NoConfig, ControlsContent]):
    """Differences to the prompt, and places among random vectors; the numbers of ``measures``."""

    Config = NoConfig
    order = 70

    def read(self, run: RunData) -> ControlsContent | None:
        """Return the sizes of the families; None if nothing is compared with a control."""
        families = run.numbers.families
        sizes = {name: families[name].tests for name in _TITLES if families[name].tests}
        return ControlsContent(comparisons=sizes) if sizes else None

    def tables(self, view: View[ControlsContent]) -> Sequence[Table]:
        """Return a table per control."""
        tables = {"prompt": _prompt_table, "random": _random_table}
        return [tables[name](view.run) for name in _TITLES if name in view.content.comparisons]


def _prompt_table(run: RunData) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for condition, name, metric, numbers in _treated(run):
        comparison = numbers.vs_prompt
        if comparison is not None:
            tally = f"{comparison.wins} / {comparison.losses} / {comparison.ties}"
            change = changed(comparison, form_of(metric))
            p = probability(comparison.p_holm)
            rows.append((condition, name, label(metric), change, p, tally))
    columns = ("condition", "measure", "metric", "Δ", "p (Holm)", "wins / losses / ties")
    note = f"Paired differences; {star_note(run.shown.families['prompt'].tests)}."
    title = _TITLES["prompt"]
    return Table("against_prompt", title, columns, tuple(rows), note, display="folded")


def _random_table(run: RunData) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for condition, name, metric, numbers in _treated(run):
        place, form = numbers.vs_random, form_of(metric)
        if place is not None:
            rows.append(
                (
                    *(condition, name, label(metric)),
                    measured(place.difference, None, form, signed=True),
                    measured(place.low, None, form, signed=True),
                    measured(place.high, None, form, signed=True),
                    f"{place.exceeding} of {place.vectors}",
                    measured(place.share, place.interval, "rate"),
                    *(probability(place.p), probability(place.p_holm)),
                    {True: "yes", False: "no", None: ""}[beyond_random(numbers)],
                )
            )
    columns = ("condition", "measure", "metric", "Δ to baseline", "random: least", "most")
    more = ("as far", "share %", "p", "p (Holm)", "beyond random")
    tests = counted(run.shown.families["random"].tests, "test")
    note = (
        "Differences to the baseline. As far: random vectors of equal length, at the same layer "
        "and positions, that change the metric at least as much, either way; a random direction "
        "has no sign. p: chance that one more does, by Student's t with their number of "
        f"directions; Holm's correction over {tests}. Beyond random: none goes as far and the "
        "corrected p < 0.05; no claim without."
    )
    title = _TITLES["random"]
    return Table("against_random", title, (*columns, *more), tuple(rows), note, display="folded")


def _treated(run: RunData) -> Iterator[tuple[str, str, MetricInfo, MetricNumbers]]:
    """Yield condition, measure, metric and numbers of each treatment's effects."""
    for condition in run.shown.labels(TREATMENT):
        for name, measure, metric in run.shown.metrics():
            numbers = measure.numbers(condition, metric.id)
            if metric.role == "effect" and numbers is not None:
                yield condition, name, metric, numbers
