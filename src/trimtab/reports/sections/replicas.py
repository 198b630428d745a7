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
Groups = Mapping[str, Sequence[str]]
"""Labels of the replicas of each kind of run."""


class Change(Content):
    """What the replicas of one kind of run changed in one metric.

    Attributes:
        measure: Where it was measured, with the model where there are several.
        metric: Id of the metric.
        run: Kind of run.
        baseline: The base's mean.
        mean: Theirs, over replicas.
        change: To the baseline, over replicas.
    """

    measure: str
    metric: str
    run: str
    baseline: float | None
    mean: OverSeeds
    change: OverSeeds


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
        found = tuple(
            change
            for name, measure in run.numbers.measures.items()
            for metric in measure.metrics
            if metric.role in _ROLES
            for change in _changes(name, measure, metric, groups, run.plan.baseline)
        )
        return ReplicasContent(changes=found) if found else None

    def tables(self, view: View[ReplicasContent]) -> Sequence[Table]:
        """Return a row per measure and metric; what changed nowhere is left out."""
        changes = view.content.changes
        names = list(dict.fromkeys(one.run for one in changes))
        measures = view.run.numbers.measures
        rows = []
        for key in dict.fromkeys((one.measure, one.metric) for one in changes):
            some = {one.run: one for one in changes if (one.measure, one.metric) == key}
            if not any(map(_moved, some.values())):
                continue
            metric = measures[key[0]].metric(key[1])
            first = next(iter(some.values()))
            base = Value(first.baseline, form=form_of(metric))
            cells = (_cell(some.get(name), metric) for name in names)
            rows.append((key[0], label(metric), base, *cells))
        if not rows:
            return []
        seeds = max(one.change.seeds for one in changes)
        note = (
            f"Change to the baseline, mean over {counted(seeds, 'replica')} at most with 95 % "
            "t-intervals over replicas, on these questions; an interval that holds 0 is no proof "
            "that nothing changed. Metrics that changed nowhere are left out."
        )
        columns = ("measure", "metric", "baseline", *names)
        return [
            Table("replicas", "What training changed, over replicas", columns, tuple(rows), note)
        ]


def _groups(run: RunData) -> dict[str, list[str]]:
    """Return the labels of replicas by their kind, without those that grade others' answers."""
    found: dict[str, list[str]] = {}
    for one in run.numbers.conditions:
        place = one.coordinates
        if "replica" in place and "graded" not in place:
            learned = f" ({place['learned']})" if "learned" in place else ""
            found.setdefault(f"{place['run']}{learned}", []).append(one.condition)
    return found


def _changes(
    name: str, measure: Measure, metric: MetricInfo, groups: Groups, baseline: str
) -> list[Change]:
    base = measure.numbers(baseline, metric.id)
    found = []
    for run, labels in groups.items():
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
                baseline=None if base is None else base.mean,
                mean=over_seeds([one.mean for one in known]),
                change=change.within(-1.0, 1.0) if metric.is_rate else change,
            )
        )
    return found


def _moved(one: Change) -> bool:
    return one.change.mean is not None and (
        one.change.mean != 0 or one.change.low != one.change.high
    )


def _cell(one: Change | None, metric: MetricInfo) -> Value | None:
    if one is None:
        return None
    change = one.change
    return Value(change.mean, change.low, change.high, form_of(metric), signed=True)
