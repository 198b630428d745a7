"""What trainings changed over their replicas: a row per metric, a column per kind of run.

Single replicas stand in the tables of effects and damage, each as if there were no other. Here the
replica is the unit: the mean of what each of them changed, with Student's interval over them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from trimtab.core.counted import counted
from trimtab.reports.data.content import Content
from trimtab.reports.data.numbers import Measure, MetricInfo
from trimtab.reports.data.run import RunData
from trimtab.reports.data.seeds import OverSeeds, over_seeds
from trimtab.reports.draw.format import form_of, label
from trimtab.reports.draw.tables import Table
from trimtab.reports.draw.values import Value
from trimtab.reports.sections.base import NoConfig, Section, View

__all__ = ["Replicas"]

_ROLES = ("effect", "damage")
Groups = Mapping[tuple[str | None, str], Sequence[str]]
"""Labels of the replicas of each kind of run, by what it learned and its name."""


class Change(Content):
    """What the replicas of one kind of run changed in one metric.

    Attributes:
        measure: Where it was measured, with the model where there are several.
        metric: Id of the metric.
        run: Kind of run.
        learned: The task that it learned, where there are several.
        baseline: The base's mean.
        mean: Theirs, over replicas.
        change: To the baseline, over replicas.
        planned: Replicas that were planned, those without a number among them.
    """

    measure: str
    metric: str
    run: str
    learned: str | None
    baseline: float | None
    mean: OverSeeds
    change: OverSeeds
    planned: int


class ReplicasContent(Content):
    """All changes, by measure and metric."""

    changes: tuple[Change, ...]


class Replicas(Section[NoConfig, ReplicasContent]):
    """Effect and damage with the replica as the unit."""

    Config = NoConfig
    order = 14

    def read(self, run: RunData) -> ReplicasContent | None:
        """Return the changes; None where no kind of run was measured twice."""
        groups = _groups(run)
        if all(len(some) < 2 for some in groups.values()):
            return None
        # what is graded there is whatever others wrote
        graded = {c.measure for c in run.source.plan.cells if "graded" in c.coordinates}
        found = tuple(
            change
            for name, measure in run.numbers.measures.items()
            if measure.measure not in graded
            for metric in measure.metrics
            if metric.role in _ROLES
            for change in _changes(name, measure, metric, groups, run.plan.baseline)
        )
        return ReplicasContent(changes=found) if found else None

    def tables(self, view: View[ReplicasContent]) -> Sequence[Table]:
        """Return a table for each task that was learned, where anything changed."""
        changes = view.content.changes
        learned = list(dict.fromkeys(one.learned for one in changes))
        made = [_table(view.run, [c for c in changes if c.learned == task]) for task in learned]
        return [table for table in made if table.rows]


def _groups(run: RunData) -> dict[tuple[str | None, str], list[str]]:
    """Return the labels of replicas by what they learned and their kind."""
    found: dict[tuple[str | None, str], list[str]] = {}
    for one in run.numbers.conditions:
        place = one.coordinates
        if "replica" in place and "run" in place:
            learned = str(place["learned"]) if "learned" in place else None
            found.setdefault((learned, str(place["run"])), []).append(one.condition)
    return found


def _changes(
    name: str, measure: Measure, metric: MetricInfo, groups: Groups, baseline: str
) -> list[Change]:
    base = measure.numbers(baseline, metric.id)
    found = []
    for (learned, run), labels in groups.items():
        numbers = [measure.numbers(one, metric.id) for one in labels]
        known = [one for one in numbers if one is not None]
        if not known:
            continue
        pairs = [one.vs_baseline for one in known]
        change = over_seeds([None if pair is None else pair.difference for pair in pairs])
        found.append(
            Change(
                measure=name,
                metric=metric.id,
                run=run,
                learned=learned,
                baseline=None if base is None else base.mean,
                mean=over_seeds([one.mean for one in known]),
                change=change.within(-1.0, 1.0) if metric.is_rate else change,
                planned=len(labels),
            )
        )
    return found


def _table(run: RunData, changes: Sequence[Change]) -> Table:
    """Return a row per measure and metric; what is known to have changed nowhere is left out."""
    names = list(dict.fromkeys(one.run for one in changes))
    rows = []
    for key in dict.fromkeys((one.measure, one.metric) for one in changes):
        some = {one.run: one for one in changes if (one.measure, one.metric) == key}
        if not any(map(_moved, some.values())):
            continue
        metric = run.numbers.measures[key[0]].metric(key[1])
        base = Value(next(iter(some.values())).baseline, form=form_of(metric))
        cells = (_cell(some.get(name), metric) for name in names)
        rows.append((key[0], label(metric), base, *cells))
    planned = max(one.planned for one in changes)
    note = (
        f"Change to the baseline, mean over {counted(planned, 'replica')} with 95 % t-intervals "
        "over replicas, on these questions, not corrected for the number of rows and columns; an "
        "interval that holds 0 is no proof that nothing changed. Where some replicas have no "
        "number, as one that was given up, it says of how many the mean is: those that are left "
        "may differ from those that are not. Metrics that changed nowhere are left out."
    )
    learned = changes[0].learned
    name = "replicas" if learned is None else f"replicas_{learned}"
    where = "" if learned is None else f": {learned}"
    columns = ("measure", "metric", "baseline", *names)
    return Table(name, f"What training changed, over replicas{where}", columns, tuple(rows), note)


def _moved(one: Change) -> bool:
    """Return whether it changed, or may have: what is not known is shown as such."""
    return one.change.mean != 0 or one.change.low != one.change.high


def _cell(one: Change | None, metric: MetricInfo) -> Value | None:
    if one is None:
        return None
    change = one.change
    form = form_of(metric)
    some = "" if change.seeds == one.planned else f" ({change.seeds} of {one.planned})"
    return Value(change.mean, change.low, change.high, form, signed=True, suffix=some)
