"""How trainings went, round by round: the mean over seeds, and how far seeds are apart."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from pydantic import Field

from trimtab.core.spec import Spec
from trimtab.reports.data.cohorts import Series, smoothed, trained_runs, training_curves
from trimtab.reports.data.content import Content
from trimtab.reports.data.run import RunData
from trimtab.reports.draw import style
from trimtab.reports.draw.figures import WIDTH, Figure, draw_legend, grid_of, label_edges
from trimtab.reports.draw.tables import Table
from trimtab.reports.draw.values import Value
from trimtab.reports.sections.base import Section, View
from trimtab.stats.intervals import mean_interval_t

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

__all__ = ["TrainingCurves"]

PANELS = {
    "reward": "reward",
    "true": "actual reward",
    "grade": "own grade, of those read",
    "inflation": "grade less actual",
    "grade_all": "own grade, unread as 0",
    "inflation_all": "grade less actual, unread as 0",
    "divergence": "KL to base (nats per token)",
    "entropy": "entropy (nats per token)",
    "loss": "loss",
    "gradient_norm": "norm of gradient",
}
"""What is drawn, in this order, where a training has it."""
_ALL = "_all"
_BOUNDS = {
    **dict.fromkeys(("reward", "true", "grade", "grade_all"), (0.0, 1.0)),
    **dict.fromkeys(("inflation", "inflation_all"), (-1.0, 1.0)),
    **dict.fromkeys(("divergence", "entropy", "gradient_norm"), (0.0, math.inf)),
}
"""What a number can't be beyond, nor its band."""
_COLUMNS = (
    *("model and task", "panel", "condition", "round", "mean", "low", "high", "seeds", "window"),
)


class _Config(Spec):
    """How curves are drawn.

    Attributes:
        window: Rounds that a point is the mean of, the last one its own; short trainings take a
            tenth of their rounds.
    """

    window: int = Field(default=20, ge=1)


class Curve(Content):
    """One line in one panel.

    Attributes:
        group: Model and task, or the kind of training.
        panel: What is drawn.
        condition: Whose line it is.
        window: Rounds that a point is the mean of.
        points: Round, mean over seeds, 95 % t-interval over seeds (null: none), seeds.
        rounds: Round, mean over seeds of that round alone, seeds; empty where points are those.
    """

    group: str
    panel: str
    condition: str
    window: int
    points: tuple[tuple[float, float, float | None, float | None, int], ...]
    rounds: tuple[tuple[float, float, int], ...] = ()


class CurvesContent(Content):
    """All lines."""

    curves: tuple[Curve, ...]


class TrainingCurves(Section[_Config, CurvesContent]):
    """Curves of trainings by rewards and on conversations."""

    Config = _Config
    part = "methods"
    order = 86
    kept = False

    def read(self, run: RunData) -> CurvesContent | None:
        """Return the curves over seeds; None where nothing was trained."""
        found: dict[tuple[str, str], list[Mapping[str, Series]]] = defaultdict(list)
        for one in trained_runs(run.source):
            found[f"{one.model}, {one.task}", one.condition].append(one.curves)
        for condition, _, supervised in training_curves(run.source):
            found["supervised", condition].append(supervised)
        curves = [
            curve
            for (group, condition), runs in found.items()
            for name in PANELS
            if (curve := _curve(group, name, condition, runs, self.config.window)) is not None
        ]
        told = _without_repeats(curves)
        return CurvesContent(curves=told) if told else None

    def tables(self, view: View[CurvesContent]) -> Sequence[Table]:
        """Return the first and the last point of each line; the figures' files have all."""
        rows = tuple(
            (
                *(curve.condition, PANELS[curve.panel], curve.group, curve.window),
                Value(curve.points[0][1]),
                Value(*curve.points[-1][1:4]),
                curve.points[-1][4],
            )
            for curve in view.content.curves
        )
        columns = ("condition", "number", "model and task", "window", "first", "last", "seeds")
        note = "Means over seeds, of so many rounds up to the first and the last one."
        title = "Trainings, first and last"
        return [Table("training_ends", title, columns, rows, note, display="folded")]

    def figures(self, view: View[CurvesContent]) -> Sequence[Figure]:
        """Return a figure per model and task."""
        groups = list(dict.fromkeys(curve.group for curve in view.content.curves))
        return [
            _figure(group, number, [c for c in view.content.curves if c.group == group])
            for number, group in enumerate(groups)
        ]


def _without_repeats(curves: Sequence[Curve]) -> tuple[Curve, ...]:
    """Leave out lines over all grades where every grade was read: they are those over the read."""
    known = {(curve.group, curve.panel, curve.condition): curve.points for curve in curves}

    def repeats(curve: Curve) -> bool:
        name = curve.panel.removesuffix(_ALL)
        read = known.get((curve.group, name, curve.condition))
        return name != curve.panel and read == curve.points

    panels = {(curve.group, curve.panel) for curve in curves if not repeats(curve)}
    return tuple(curve for curve in curves if (curve.group, curve.panel) in panels)


def _curve(
    group: str, panel: str, condition: str, runs: Sequence[Mapping[str, Series]], window: int
) -> Curve | None:
    """Return a line over the rounds that any seed has a value at; None where there is none."""
    longest = max(len(curves["step"]) for curves in runs)
    window = min(window, max(1, longest // 10))
    values = _by_step(panel, runs, window)
    bounds = _BOUNDS.get(panel, (-math.inf, math.inf))
    points = tuple((step, *_over_seeds(values[step], bounds)) for step in sorted(values))
    if not points:
        return None
    single = _by_step(panel, runs, 1) if window > 1 else {}
    rounds = tuple(
        (step, math.fsum(single[step]) / len(single[step]), len(single[step]))
        for step in sorted(single)
    )
    return Curve(
        group=group, panel=panel, condition=condition, window=window, points=points, rounds=rounds
    )


def _by_step(
    panel: str, runs: Sequence[Mapping[str, Series]], window: int
) -> dict[float, list[float]]:
    """Return the values of all seeds at each round, of windows that are whole.

    Before them a band would be of fewer rounds than the others.
    """
    values: dict[float, list[float]] = defaultdict(list)
    for curves in runs:
        drawn = smoothed(curves.get(panel, []), window)
        for step, value in list(zip(curves["step"], drawn, strict=False))[window - 1 :]:
            if value is not None and step is not None:
                values[step].append(value)
    return values


def _over_seeds(
    values: Sequence[float], bounds: tuple[float, float]
) -> tuple[float, float | None, float | None, int]:
    mean = math.fsum(values) / len(values)
    interval = mean_interval_t(values)
    if not interval.is_defined:
        return mean, None, None, len(values)
    return mean, max(interval.low, bounds[0]), min(interval.high, bounds[1]), len(values)


def _figure(group: str, number: int, curves: Sequence[Curve]) -> Figure:
    rows = tuple(
        (group, curve.panel, curve.condition, *point, window)
        for curve in curves
        for window, points in (
            (curve.window, curve.points),
            (1, [(step, mean, None, None, seeds) for step, mean, seeds in curve.rounds]),
        )
        for point in points
    )
    panels = [name for name in PANELS if any(curve.panel == name for curve in curves)]
    lines, _ = grid_of(len(panels), 3)
    seeds = max(point[-1] for curve in curves for point in curve.points)
    band = (
        "Bands: 95 % t-intervals over seeds, cut at what is possible."
        if seeds > 1
        else "One seed: there is no band."
    )
    window = max(curve.window for curve in curves)
    points = "round" if window == 1 else f"mean of the {window} rounds up to it"
    single = "" if window == 1 else " Faint points: single rounds."
    caption = f"Training, {group}. A line is the {points}, and the mean over seeds. {band}{single}"
    return Figure(
        "training_curves" + f"_{number + 1}" * bool(number),
        caption,
        _COLUMNS,
        rows,
        (WIDTH, 1.0 + 2.1 * lines),
        partial(_plot, curves, panels),
    )


def _plot(curves: Sequence[Curve], panels: Sequence[str], canvas: Canvas) -> None:
    axes = canvas.subplots(*grid_of(len(panels), 3), squeeze=False, sharex=True)
    names = list(dict.fromkeys(curve.condition for curve in curves))
    for at, panel in zip(axes.flat, panels, strict=False):
        for curve in (c for c in curves if c.panel == panel):
            colour, marker = style.series_look(names.index(curve.condition))
            x, y = [p[0] for p in curve.points], [p[1] for p in curve.points]
            few = marker if len(x) < 5 else None
            if curve.rounds:
                step, mean, _seeds = zip(*curve.rounds, strict=True)
                at.plot(step, mean, ls="", marker=".", ms=4, mew=0, color=colour, alpha=0.4)
            at.plot(x, y, color=colour, lw=1.6, marker=few, label=curve.condition)
            # where all seeds are equal there is no interval, and so a gap
            ends = [[math.nan if p[i] is None else p[i] for p in curve.points] for i in (2, 3)]
            at.fill_between(x, *ends, color=colour, alpha=0.15, lw=0)
        at.set_title(PANELS[panel], fontsize=9.5)
        at.xaxis.get_major_locator().set_params(integer=True)
        if _BOUNDS.get(panel) == (0.0, 1.0):
            at.set_ylim(-0.03, 1.03)
        if panel.startswith("inflation"):
            at.axhline(0, color=style.MUTED, lw=0.8)
    label_edges(axes, len(panels), "round" if "reward" in panels else "update", "")
    draw_legend(canvas)
