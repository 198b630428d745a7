"""How much the winner of a search depends on its strength, on problems that no trial saw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from trimtab.core.keys import content_key
from trimtab.core.plan import Cell
from trimtab.core.spec import Component
from trimtab.reports.data.conditions import RANDOM, strength
from trimtab.reports.data.content import Content
from trimtab.reports.data.numbers import Measure, Numbers
from trimtab.reports.data.parts import PartOfRun
from trimtab.reports.data.run import RunData
from trimtab.reports.draw.figures import Figure
from trimtab.reports.draw.format import form_of, label
from trimtab.reports.draw.tables import Table
from trimtab.reports.draw.values import Cell as Value
from trimtab.reports.draw.values import changed, estimated, star_note
from trimtab.reports.sections.base import NoConfig, Section, View
from trimtab.reports.sections.effects.figures import strength_figure
from trimtab.search.trials import CONFIRM, HELDOUT

__all__ = ["Sensitivity"]


class SensitivityContent(Content):
    """The numbers of every strength that was measured, and of the random directions beside them."""

    numbers: Numbers


class Sensitivity(Section[NoConfig, SensitivityContent]):
    """Effect and damage against strength, both signs, with random directions of equal length."""

    Config = NoConfig
    order = 16

    def read(self, run: RunData) -> SensitivityContent | None:
        """Return the numbers; None for a run that measured no strengths around a winner."""
        around = [c for c in run.whole.plan.cells if c.measure == CONFIRM and _is_around(c)]
        if not around:
            return None
        methods = {_method(c) for c in around if c.control != RANDOM}
        place = next(dict(c.coordinates) for c in around if c.control != RANDOM)

        def shown(cell: Cell) -> Cell | None:
            if cell.measure not in (CONFIRM, HELDOUT) or cell.purpose != "tuning":
                return None
            if _is_around(cell) or cell.role == "baseline":
                return cell
            if cell.role == "treatment" and _method(cell) in methods:
                size = float(cell.intervention.config["strength"])
                return cell.model_copy(update={"coordinates": {**place, "strength": size}})
            return None

        part = RunData(PartOfRun(run.whole, shown), purpose="tuning")
        return SensitivityContent(numbers=part.numbers)

    def tables(self, view: View[SensitivityContent]) -> Sequence[Table]:
        """Return a row per strength."""
        numbers = view.content.numbers
        return [_table(numbers, numbers.measures[CONFIRM])]

    def figures(self, view: View[SensitivityContent]) -> Sequence[Figure]:
        """Return effect and damage against strength."""
        return [
            replace(figure, name="sensitivity") for figure in strength_figure(view.content.numbers)
        ]


def _is_around(cell: Cell) -> bool:
    """Return whether a cell is one of the strengths around a winner, or a control of them."""
    return cell.purpose == "tuning" and "series" in cell.coordinates


def _method(cell: Cell) -> str:
    """Return an intervention without its strength."""
    config = {k: v for k, v in cell.intervention.config.items() if k != "strength"}
    return content_key(Component(name=cell.intervention.name, config=config))


def _table(numbers: Numbers, measure: Measure) -> Table:
    shown = [m for m in measure.metrics if m.role in ("effect", "damage")]
    rows = []
    places = {c.condition: strength(c) for c in numbers.conditions}
    ordered = sorted(
        (name for name in measure.conditions if places.get(name) is not None),
        key=lambda name: (name.startswith("random"), places[name] or 0.0, name),
    )
    for name in (*numbers.labels("baseline"), *ordered):
        entry = measure.conditions[name]
        cells: list[Value] = [name]
        for metric in shown:
            found = entry.metrics[metric.id]
            cells.append(estimated(found, metric, interval=metric.role == "effect"))
            if metric.role == "effect":
                cells.append(changed(found.vs_baseline, form_of(metric)))
        rows.append(tuple(cells))
    columns = ["condition"]
    for metric in shown:
        columns.append(label(metric))
        columns += [f"Δ {label(metric).removesuffix(' %')}"] * (metric.role == "effect")
    note = (
        f"On the {measure.units} confirm problems, by which the winner was chosen among the best: "
        "its own strength flatters. Δ: paired difference to the baseline [95 % interval]"
        f"{f'; {star}' if (star := star_note(numbers.tests)) else ''}."
    )
    return Table("sensitivity", "Around the winner's strength", tuple(columns), tuple(rows), note)
