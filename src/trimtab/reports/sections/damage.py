"""What each condition broke, over all measures: perplexity, repetition, length, refusals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from trimtab.reports.data.conditions import VECTOR
from trimtab.reports.data.content import Content
from trimtab.reports.data.metrics import NLL
from trimtab.reports.data.numbers import Measure, MetricInfo
from trimtab.reports.data.run import RunData
from trimtab.reports.draw.format import DASH, label
from trimtab.reports.draw.tables import Table
from trimtab.reports.draw.values import Cell, Count, Value, estimated, is_zero, measured
from trimtab.reports.sections.base import NoConfig, Section, View

__all__ = ["Damage"]

# Damage metrics in the order a reader wants them; unknown ones follow.
_ORDER = ("kl", "same_answer", "repetition", "words", "truncated", "empty", "refusal", "collapsed")
# Told by another column already, or too weak a sign for one; they are in the table of all numbers.
_MINOR = ("tokens", "follow_up")
_NOTES = {
    "perplexity ratio": "perplexity ratio: exp of the mean paired difference in nats per token to "
    "the baseline",
    "kl": "kl: from the baseline, nats per token unless a unit is given",
    "same_answer": "same_answer: texts that another question of the condition got too",
    "truncated": "truncated: texts cut at the token limit",
    "unscored": "unscored: share of judgements without a value, over all judges",
}

Measures = Mapping[str, Measure]
Cells = dict[str, Cell]
"""The cells of one column, by condition."""


class Tally(Content):
    """Completions of a condition over all measures.

    Attributes:
        planned: That the plan asks for.
        missing: That are not there.
        errors: That ended in an error.
    """

    planned: int
    missing: int
    errors: int


class DamageContent(Content):
    """What became of every condition's completions, by label; the rest is in ``measures``."""

    completions: dict[str, Tally]


class Damage(Section[NoConfig, DamageContent]):
    """One table over all measures, so that no gain is read without its cost."""

    Config = NoConfig
    order = 40
    terms = (
        (
            "perplexity ratio",
            "exp of the mean paired difference in negative log-likelihood per token on held-out "
            "text.",
        ),
    )

    def read(self, run: RunData) -> DamageContent | None:
        """Return the tallies; None for a plan without cells."""
        tallies: dict[str, Tally] = {}
        for measure in run.numbers.measures.values():
            for condition, entry in measure.conditions.items():
                counts, before = entry.counts, tallies.get(condition)
                tallies[condition] = Tally(
                    planned=counts.planned + (before.planned if before else 0),
                    missing=counts.missing + (before.missing if before else 0),
                    errors=counts.errors + (before.errors if before else 0),
                )
        return DamageContent(completions=tallies) if tallies else None

    def tables(self, view: View[DamageContent]) -> Sequence[Table]:
        """Return a row per condition, over all measures."""
        return [damage_table(view.run, view.run.shown.measures)]

    def headline(self, view: View[DamageContent]) -> Sequence[Table]:
        """Return the same without intervals and without columns that are zero throughout."""
        measures = {
            n: m for n, m in view.run.shown.measures.items() if m.split in view.run.shown_splits
        }
        table = damage_table(view.run, measures, compact=True)
        return [table] if len(table.columns) > 1 else []


def damage_table(run: RunData, measures: Measures, *, compact: bool = False) -> Table:
    """Return what each condition broke: a row per condition, over ``measures``.

    ``compact`` leaves out intervals and columns that are zero throughout, for a terminal.
    """
    columns: list[tuple[str, Cells]] = []
    metrics = _damage_metrics(measures)
    texts = [n for n, measure in measures.items() if any(m.name == NLL for m in measure.metrics)]
    for name in texts:
        where = f", {name}" if len(texts) > 1 else ""
        ratios = _perplexity(run, measures[name], compact)
        columns.append((f"perplexity ratio{where}", ratios))
    names = [metric.name for _, metric in metrics]
    for name, metric in metrics:
        where = f", {name}" if names.count(metric.name) > 1 else ""
        columns.append((label(metric) + where, _means(measures[name], metric, compact)))
    counted = [name for name in ("truncated", "errors", "missing") if name not in names]
    columns += [(name, _counts(measures, name)) for name in counted]
    columns.append(("unscored", _unscored(measures)))
    if compact:
        columns = [(n, cells) for n, cells in columns if not all(map(is_zero, cells.values()))]
    rows = tuple(
        (c.condition, *(cells.get(c.condition, DASH) for _, cells in columns))
        for c in run.shown.conditions
        if c.group != VECTOR
    )
    notes = [text for name, text in _NOTES.items() if any(n.startswith(name) for n, _ in columns)]
    note = "; ".join([*notes, "a dash is a missing number, not a zero."])
    headings = ("condition", *(name for name, _ in columns))
    return Table("damage", "Damage", headings, rows, note[0].upper() + note[1:])


def _damage_metrics(measures: Measures) -> list[tuple[str, MetricInfo]]:
    damage = [
        (name, metric)
        for name, measure in measures.items()
        for metric in measure.metrics
        if metric.role == "damage" and metric.name not in (NLL, *_MINOR)
    ]
    rank = {name: index for index, name in enumerate(_ORDER)}
    return sorted(damage, key=lambda pair: rank.get(pair[1].name, len(rank)))


def _means(measure: Measure, metric: MetricInfo, compact: bool) -> Cells:
    return {
        condition: estimated(entry.metrics[metric.id], metric, interval=not compact)
        for condition, entry in measure.conditions.items()
    }


def _perplexity(run: RunData, measure: Measure, compact: bool) -> Cells:
    cells: Cells = {run.plan.baseline: 1}
    for condition, entry in measure.conditions.items():
        for numbers in entry.metrics.values():
            if (ratio := numbers.perplexity_ratio) is not None:
                interval = None if compact else ratio.interval
                cells[condition] = measured(
                    ratio.mean, interval, "number", clusters=ratio.num_clusters
                )
    return cells


def _counts(measures: Measures, name: str) -> Cells:
    """Return how many of a condition's completions were truncated, errors or missing."""
    totals: dict[str, tuple[int, int]] = {}
    for measure in measures.values():
        if name == "truncated" and measure.output != "text":
            continue
        for condition, entry in measure.conditions.items():
            bad, planned = totals.get(condition, (0, 0))
            count: int | None = getattr(entry.counts, name)
            if count is not None:
                totals[condition] = (bad + count, planned + entry.counts.planned)
    return {condition: Count(bad, planned) for condition, (bad, planned) in totals.items()}


def _unscored(measures: Measures) -> Cells:
    totals: dict[str, tuple[int, int]] = {}
    for measure in measures.values():
        given = [metric.id for metric in measure.metrics if not metric.derived]
        for condition, entry in measure.conditions.items():
            for numbers in (entry.metrics[name] for name in given):
                gone, planned = totals.get(condition, (0, 0))
                totals[condition] = (gone + numbers.n_unscored, planned + numbers.n_planned)
    return {
        condition: Value(100 * gone / planned, form="points", suffix=" %")
        for condition, (gone, planned) in totals.items()
        if planned
    }
