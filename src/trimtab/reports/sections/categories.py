"""The headline metric by category of question: where an effect comes from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from trimtab.reports.data.blocks import Block, ConditionRows, with_pools
from trimtab.reports.data.conditions import PROMPT
from trimtab.reports.data.content import Content
from trimtab.reports.data.measures import pool_members
from trimtab.reports.data.numbers import Comparison
from trimtab.reports.data.run import RunData
from trimtab.reports.data.statistics import compare, seed_for
from trimtab.reports.draw.format import DASH, form_of, label
from trimtab.reports.draw.tables import Table
from trimtab.reports.draw.values import changed as change_cell
from trimtab.reports.draw.values import measured
from trimtab.reports.sections.base import NoConfig, Section, View

__all__ = ["Categories"]


class Category(Content):
    """One category.

    Attributes:
        category: Its name.
        n: Its questions.
        baseline: Mean of the baseline over them.
        changes: By condition, the paired difference to the baseline.
    """

    category: str
    n: int
    baseline: float | None
    changes: dict[str, Comparison | None]


class CategoriesContent(Content):
    """The headline metric by category for the prompt and the best treatment."""

    measure: str
    metric: str
    conditions: tuple[str, ...]
    rows: tuple[Category, ...]


class Categories(Section[NoConfig, CategoriesContent]):
    """A category is a small sample and there are many: these figures suggest and prove nothing."""

    Config = NoConfig
    order = 100

    def read(self, run: RunData) -> CategoriesContent | None:
        """Return the categories; None without an effect metric."""
        if run.headline is None:
            return None
        name, metric = run.headline
        block = next(block for block in run.blocks if block.name == name)
        rows = with_pools(block, pool_members(run.numbers.conditions))
        labels = (*run.numbers.labels(PROMPT), run.best)
        shown = {label: rows[label] for label in labels if label is not None and label in rows}
        base = rows.get(run.plan.baseline)
        return CategoriesContent(
            measure=name,
            metric=metric.id,
            conditions=tuple(shown),
            rows=tuple(_categories(block, metric.id, base, shown, run.plan.seed)),
        )

    def tables(self, view: View[CategoriesContent]) -> Sequence[Table]:
        """Return a row per category; nothing where questions have none."""
        if len(view.content.rows) < 2:
            return []
        metric = view.run.shown.measures[view.content.measure].metric(view.content.metric)
        form = form_of(metric)
        columns = (
            *("category", "questions", f"{view.run.plan.baseline}: {label(metric)}"),
            *(f"Δ {condition}" for condition in view.content.conditions),
        )
        rows = tuple(
            (
                row.category,
                row.n,
                measured(row.baseline, None, form),
                *(change_cell(row.changes[c], form) or DASH for c in view.content.conditions),
            )
            for row in view.content.rows
        )
        note = (
            "Paired differences to the baseline over the questions of one category, uncorrected: "
            "with so many small samples some differ by chance."
        )
        title = f"By category, {view.content.measure}"
        return [Table("categories", title, columns, rows, note, display="folded")]


def _categories(
    block: Block,
    metric: str,
    baseline: ConditionRows | None,
    conditions: Mapping[str, ConditionRows],
    seed: int,
) -> list[Category]:
    """Return, per category, the baseline's mean and what each of ``conditions`` changed.

    Questions are the units, each a cluster of its own.
    """
    by_category: dict[str, set[str]] = {}
    for sample in block.samples.values():
        name = sample.metadata.get("category")
        if isinstance(name, str) and name:
            by_category.setdefault(name, set()).add(block.units[sample.id])
    base = {} if baseline is None else block.by_unit(baseline.means[metric])
    values = {label: block.by_unit(rows.means[metric]) for label, rows in conditions.items()}
    clusters = {unit: unit for units in by_category.values() for unit in units}
    rows = []
    for name, units in sorted(by_category.items()):
        asked = sorted(units)
        start = {unit: base[unit] for unit in asked if unit in base}
        changes: dict[str, Comparison | None] = {}
        for condition, by_unit in values.items():
            some = {unit: by_unit[unit] for unit in asked if unit in by_unit}
            drawn = seed_for(seed, block.name, metric, condition, "category", name)
            changes[condition] = compare(some, start, clusters, drawn)
        mean = sum(start.values()) / len(start) if start else None
        rows.append(Category(category=name, n=len(units), baseline=mean, changes=changes))
    return rows
