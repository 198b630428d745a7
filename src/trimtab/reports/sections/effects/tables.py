"""Tables of effects: a row per condition, each metric with its difference to the baseline."""

from __future__ import annotations

from collections.abc import Sequence

from trimtab.core.counted import counted
from trimtab.core.spec import RESULTS
from trimtab.reports.data.conditions import VECTOR
from trimtab.reports.data.numbers import (
    Comparison,
    ConditionNumbers,
    Estimate,
    Measure,
    MetricInfo,
    Numbers,
)
from trimtab.reports.data.run import RunData
from trimtab.reports.draw.format import DASH, form_of, label, title
from trimtab.reports.draw.tables import Table
from trimtab.reports.draw.values import Cell, changed, estimated, star_note


def condition_table(
    run: RunData, name: str, metrics: Sequence[str] | None = None, *, compact: bool = False
) -> Table:
    """Return the effects of one measure: a row per condition, each metric with its difference.

    Args:
        run: The run.
        name: Name of the measure.
        metrics: Metric ids to show; None is what ``effect_metrics`` names.
        compact: Leave out the intervals of means and empty columns, for a terminal; differences
            keep their intervals.
    """
    numbers, measure = run.shown, run.shown.measures[name]
    shown = [measure.metric(key) for key in metrics or effect_metrics(measure)]
    columns = ["condition", "n"]
    for metric in shown:
        columns += [label(metric), f"Δ {label(metric).removesuffix(' %')}"]
    single = set(numbers.labels(VECTOR))
    rows = []
    for condition in (c for c in numbers.labels() if c in measure.conditions):
        if condition in single:
            continue
        entry = measure.conditions[condition]
        cells: list[Cell] = [condition, scored(entry, shown)]
        for metric in shown:
            found = entry.metrics[metric.id]
            cells.append(estimated(found, metric, interval=not compact))
            cells.append(changed(found.vs_baseline, form_of(metric)))
        rows.append(tuple(cells))
    asked = counted(measure.units, "question")
    heading = f"{name}: {measure.task}, {asked}, {measure.split} split"
    note = _note(run, shown, len(rows), compact)
    table = Table(f"{name}_effects", heading, tuple(columns), tuple(rows), note)
    if not compact:
        return table
    return table.keep(
        i for i in range(len(columns)) if i < 2 or any(row[i] is not None for row in rows)
    )


def _note(run: RunData, shown: Sequence[MetricInfo], num_rows: int, compact: bool) -> str:
    parts = ["Mean" if compact else "Mean [95 % interval]"]
    if num_rows > 1:
        interval = " [95 % interval]" * compact
        parts += [f"Δ: paired difference to {run.plan.baseline}{interval}"]
        parts += filter(None, [star_note(run.shown.tests)])
    readings = ", ".join(title(metric) for metric in shown if metric.role == "reading")
    if readings:
        parts.append(
            f"{readings}: the same answers read in another way, without tests of their own"
        )
    return "; ".join([*parts, "n: scored of planned completions."])


def has_effects(measure: Measure) -> bool:
    """Whether a metric of the measure is an effect."""
    return any(metric.role == "effect" for metric in measure.metrics)


def effect_metrics(measure: Measure) -> list[str]:
    """Return the ids of a measure's effects, derived ones first; all metrics if it has none.

    Other readings of an effect's answers stand beside it; where a judge gives a verdict and its
    probability (``truth`` and ``truth_p``), the verdict alone.
    """
    names = {metric.name for metric in measure.metrics}
    twins = {f"{name}_p" for name in names} & names
    shown = [m for m in measure.metrics if m.role in RESULTS and m.name not in twins]
    return [m.id for m in sorted(shown or measure.metrics, key=lambda m: not m.derived)]


def scored(entry: ConditionNumbers, metrics: Sequence[MetricInfo]) -> str:
    """Return ``412/420``, or ``409-412/420`` where metrics differ."""
    counts = [entry.metrics[metric.id].n for metric in metrics]
    low, high = min(counts, default=0), max(counts, default=0)
    values = str(low) if low == high else f"{low}{DASH}{high}"
    return f"{values}/{entry.counts.planned}"


def numbers_table(numbers: Numbers) -> Table:
    """Return every estimate in long form, unrounded, in the metrics' own units: for machines."""
    columns = ("measure", "condition", "metric", "n_planned", "n", "mean", "low", "high")
    compared = ("n_pairs", "difference", "difference_low", "difference_high", "p", "p_holm")
    rows = []
    for name, measure in numbers.measures.items():
        for condition in (c for c in numbers.labels() if c in measure.conditions):
            for metric, found in measure.conditions[condition].metrics.items():
                base = found.vs_baseline
                values = (
                    *(found.n_planned, found.n, found.mean, *_ends(found)),
                    *((None, None) if base is None else (base.n, base.difference)),
                    *_ends(base),
                    *((None, None) if base is None else (base.p, base.p_holm)),
                )
                cells = ("" if value is None else repr(value) for value in values)
                rows.append((name, condition, metric, *cells))
    return Table("numbers", "All numbers", (*columns, *compared), tuple(rows), display="file")


def _ends(found: Estimate | Comparison | None) -> tuple[float | None, float | None]:
    return (None, None) if found is None or found.interval is None else found.interval
