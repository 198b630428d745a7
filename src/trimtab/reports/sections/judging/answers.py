"""Tables of what judges say of answers: truth and information together, length and endings."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from trimtab.reports.data.metrics import TRUTH_INFO
from trimtab.reports.data.numbers import MetricInfo
from trimtab.reports.data.run import RunData
from trimtab.reports.draw.format import DASH, form_of, label
from trimtab.reports.draw.tables import Table
from trimtab.reports.draw.values import Cell, changed, estimated

_VERBOSITY = ("words", "tokens", "truncated", "follow_up", "empty", "refusal", "repetition")


def truth_tables(run: RunData, checked: Collection[str]) -> list[Table]:
    """Return truth, information and both at once for every pair of judges that gives them.

    An intervention that silences the model is truthful: the three belong side by side.

    Args:
        run: The run.
        checked: Keys of the judges that were checked against people.
    """
    tables = []
    for name, measure in run.shown.measures.items():
        for both in (metric for metric in measure.metrics if metric.name == TRUTH_INFO):
            parts = [measure.metric(part) for part in both.parts]
            title = f"Truth and information, {name}"
            suffix = both.id.removeprefix(TRUTH_INFO)
            table = _beside_baseline(
                run, name, [*parts, both], f"{name}_truth{suffix}", title + suffix
            )
            unknown = sorted({str(part.judge) for part in parts} - set(checked))
            if unknown:
                warning = (
                    f" Nobody checked {' and '.join(unknown)} against people in this run "
                    "(`trimtab judge-check`): what these rates are worth is not known."
                )
                table = replace(table, note=table.note + warning)
            tables.append(table)
    return tables


def verbosity_tables(run: RunData) -> list[Table]:
    """Return how long the answers are and how they end, with the change to the baseline."""
    tables = []
    for name, measure in run.shown.measures.items():
        by_name = {metric.name: metric for metric in measure.metrics}
        shown = [by_name[key] for key in _VERBOSITY if key in by_name]
        if "words" in by_name:
            title = f"Length and endings, {name}"
            tables.append(_beside_baseline(run, name, shown, f"{name}_verbosity", title))
    return tables


def _beside_baseline(
    run: RunData, name: str, metrics: Sequence[MetricInfo], stem: str, title: str
) -> Table:
    measure = run.shown.measures[name]
    columns = ["condition", "n"]
    for metric in metrics:
        columns += [label(metric), f"Δ {label(metric).removesuffix(' %')}"]
    rows = []
    for condition in (c for c in run.shown.labels() if c in measure.conditions):
        entry = measure.conditions[condition]
        numbers = [entry.metrics[metric.id] for metric in metrics]
        counts = sorted({found.n for found in numbers})
        scored = DASH.join(map(str, counts[:1] + counts[1:][-1:]))
        cells: list[Cell] = [condition, f"{scored}/{entry.counts.planned}"]
        for metric, found in zip(metrics, numbers, strict=True):
            cells.append(estimated(found, metric))
            cells.append(changed(found.vs_baseline, form_of(metric)))
        rows.append(tuple(cells))
    note = (
        f"Mean [95 % interval]; Δ: paired difference to {run.plan.baseline}; n: scored of "
        "planned completions."
    )
    return Table(stem, title, tuple(columns), tuple(rows), note)
