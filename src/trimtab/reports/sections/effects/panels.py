"""Which metrics the figures of effects show, and the points of each panel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from trimtab.reports.data import conditions as places
from trimtab.reports.data.metrics import MATCHING, NLL
from trimtab.reports.data.numbers import Condition, MetricInfo, Numbers
from trimtab.reports.data.run import RunData
from trimtab.reports.data.statistics import is_resampled
from trimtab.reports.draw.figures import Point
from trimtab.reports.draw.format import Bounds, form_of, label, scale

# Most panels in a row of the strength figure.
MAX_PANELS = 3
_RATIO = "perplexity_ratio"
_EFFECTS = ("truth_info", "mc1", "mc2", "two_option")
_DAMAGE = (_RATIO, "kl", "repetition")
_TITLES = {_RATIO: "perplexity ratio", "kl": "KL to baseline (nats/token)"}
# Single draws are what a reader should see, and pools of vectors: the others would draw over them.
_HIDDEN = (places.POOLED, places.VECTOR)


@dataclass(frozen=True)
class Panel:
    """One metric of one measure; ``is_ratio`` where its perplexity ratio is shown instead."""

    title: str
    measure: str
    metric: MetricInfo
    is_ratio: bool = False

    @property
    def factor(self) -> float:
        """What values are multiplied with."""
        return 1.0 if self.is_ratio else scale(form_of(self.metric))


@dataclass(frozen=True)
class Level:
    """A value with its interval, and how many scored completions, or pairs, and clusters it has."""

    value: float
    interval: Bounds | None
    n: int
    clusters: int = 0
    resampled: bool = True


def strength_panels(numbers: Numbers) -> list[list[Panel]]:
    """Return the panels of the two rows, effects and damage; a row without panels is left out."""
    chosen = _panels(numbers, _EFFECTS) or [
        Panel(label(metric), name, metric)
        for name, _, metric in numbers.metrics()
        # behaviours have a figure of their own
        if metric.role == "effect" and metric.name != MATCHING
    ]
    rows = (chosen[:MAX_PANELS], _panels(numbers, _DAMAGE)[:MAX_PANELS])
    return [_told_apart(row) for row in rows if row]


def _told_apart(panels: Sequence[Panel]) -> list[Panel]:
    """Return panels with the measure in the title of each that shares it with another."""
    titles = [panel.title for panel in panels]
    return [
        replace(panel, title=f"{panel.title}, {panel.measure}")
        if titles.count(panel.title) > 1
        else panel
        for panel in panels
    ]


def strength_points(numbers: Numbers) -> list[Point]:
    """Return every condition's value in every panel; empty if no treatment has a strength.

    One axis has one unit: conditions whose strength is in another are left out.
    """
    treatments = [c for c in numbers.conditions if c.group == places.TREATMENT]
    if all(places.strength(condition) is None for condition in treatments):
        return []
    unit = strength_unit(numbers)
    return [
        _point(panel, condition, places.strength(condition), level, panel.factor)
        for row in strength_panels(numbers)
        for panel in row
        for condition in numbers.conditions
        if condition.group not in _HIDDEN
        and not (places.strength(condition) and places.unit(condition) != unit)
        and (level := _level(numbers, panel, condition)) is not None
    ]


def strength_unit(numbers: Numbers) -> str:
    """Return the unit of most strengths (raw, unit, relative); empty if they say none."""
    units = [places.unit(c) for c in numbers.conditions if places.strength(c)]
    return max(units, key=units.count, default="")


def tradeoff_points(run: RunData) -> tuple[str, str, list[Point]] | None:
    """Return axis labels and points: side effect against effect, both relative to the baseline."""
    numbers = run.shown
    damage = next(iter(_panels(numbers, ("kl", _RATIO))), None)
    if run.headline is None or damage is None:
        return None
    name, metric = run.headline
    points = []
    for condition in numbers.conditions:
        measured = numbers.measures[name].numbers(condition.condition, metric.id)
        comparison = None if measured is None else measured.vs_baseline
        across = _level(numbers, damage, condition)
        if comparison and across and condition.group not in _HIDDEN:
            level = Level(
                comparison.difference, comparison.interval, comparison.n, comparison.num_clusters
            )
            factor = scale(form_of(metric))
            points.append(_point(damage, condition, across.value, level, factor))
    if not points:
        return None
    up = f"Δ {label(metric)} to {run.plan.baseline}".replace(" %", "")
    return damage.title, up + (" (points)" if metric.is_rate else ""), points


def _panels(numbers: Numbers, names: tuple[str, ...]) -> list[Panel]:
    """Return the panels of the wanted metrics that the run has.

    Every wanted metric comes once before any of them on a second measure.
    """
    ranked: list[tuple[int, Panel]] = []
    for wanted in names:
        is_ratio = wanted == _RATIO
        holders = [
            (name, metric)
            for name, _, metric in numbers.metrics()
            if metric.name == (NLL if is_ratio else wanted)
        ]
        for rank, (name, metric) in enumerate(holders):
            title = _TITLES.get(wanted, label(metric))
            ranked.append((rank, Panel(title, name, metric, is_ratio)))
    return [panel for _, panel in sorted(ranked, key=lambda pair: pair[0])]


def _level(numbers: Numbers, panel: Panel, condition: Condition) -> Level | None:
    """Return what a panel shows of a condition; None where nothing is scored."""
    measured = numbers.measures[panel.measure].numbers(condition.condition, panel.metric.id)
    if measured is None:
        return None
    if panel.is_ratio and condition.group == places.BASELINE and measured.mean is not None:
        return Level(1.0, None, measured.n)
    shown = measured.perplexity_ratio if panel.is_ratio else measured
    if shown is None or shown.mean is None:
        return None
    resampled = panel.is_ratio or is_resampled(measured)
    return Level(shown.mean, shown.interval, measured.n, shown.num_clusters, resampled)


def _point(
    panel: Panel, condition: Condition, x: float | None, level: Level, factor: float
) -> Point:
    low, high = level.interval or (None, None)
    return Point(
        panel=panel.title,
        condition=condition.condition,
        group=condition.group,
        series=places.series(condition),
        strength=places.strength(condition),
        x=x,
        y=level.value * factor,
        low=None if low is None else low * factor,
        high=None if high is None else high * factor,
        n=level.n,
        clusters=level.clusters,
        resampled=level.resampled,
    )
