"""Figure of all behaviours: what each strength changed, and beside it the side effects."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from trimtab.reports.data import conditions as places
from trimtab.reports.data.numbers import Comparison, Numbers
from trimtab.reports.draw import style
from trimtab.reports.draw.figures import (
    POINT_COLUMNS,
    WIDTH,
    Figure,
    Point,
    draw_legend,
    mark_of,
    note_of,
    point_rows,
)
from trimtab.reports.draw.format import strength
from trimtab.reports.sections.behaviours.content import Behaviour, BehavioursContent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

_EFFECT = "Δ probability of the matching letter (points)"


def behaviour_figure(content: BehavioursContent, numbers: Numbers) -> list[Figure]:
    """Return the figure: a row per behaviour, a panel per kind; [] where nothing is measured."""
    points = behaviour_points(content, numbers)
    if not points:
        return []
    names = [row.measure for row in content.behaviours]
    size, plot = (WIDTH, 1.3 + 0.5 * len(names)), partial(_plot, points, names)
    caption = _caption(points) + note_of(any(point.few for point in points))
    return [Figure("behaviours", caption, POINT_COLUMNS, point_rows(points), size, plot)]


def _caption(points: list[Point]) -> str:
    """Return what is drawn, and nothing that isn't."""
    side = any(point.panel != _EFFECT for point in points)
    drawn = any(point.group == places.RANDOM for point in points)
    return (
        "What steering along each behaviour changed: the probability of the letter whose answer "
        f"shows it{', and of the right letter where nothing should change' * side}. Bars: 95 % "
        "intervals of the paired difference to the baseline"
        f"{'; grey crosses: random vectors of equal length' * drawn}."
    )


def behaviour_points(content: BehavioursContent, numbers: Numbers) -> list[Point]:
    """Return every difference in points; ``series`` is the behaviour, ``y`` the difference."""
    points: list[Point | None] = []
    for row in content.behaviours:
        for given in row.strengths:
            place = (row.measure, given.condition, given.strength)
            points.append(_point(_EFFECT, *place, given.effect, places.TREATMENT))
            for side in given.side_effects:
                title = f"Δ right letter, {side.measure} (points)"
                points.append(_point(title, *place, side.effect, places.TREATMENT))
        points += _random(row, numbers)
    known = [point for point in points if point is not None]
    return sorted(known, key=lambda point: point.panel != _EFFECT)


def _random(row: Behaviour, numbers: Numbers) -> list[Point | None]:
    """Return a point of each random direction that was measured on a behaviour."""
    points = []
    for condition in numbers.conditions:
        found = numbers.measures[row.measure].numbers(condition.condition, row.metric)
        if condition.group == places.RANDOM and found is not None:
            place = (row.measure, condition.condition, places.strength(condition))
            points.append(_point(_EFFECT, *place, found.vs_baseline, places.RANDOM))
    return points


def _point(
    panel: str,
    behaviour: str,
    condition: str,
    size: float | None,
    comparison: Comparison | None,
    group: str,
) -> Point | None:
    if comparison is None:
        return None
    low, high = comparison.interval or (None, None)
    return Point(
        panel=panel,
        condition=condition,
        group=group,
        series=behaviour,
        strength=size,
        x=None,
        y=100 * comparison.difference,
        low=None if low is None else 100 * low,
        high=None if high is None else 100 * high,
        n=comparison.n,
        clusters=comparison.num_clusters,
    )


def _plot(points: list[Point], names: list[str], canvas: Canvas) -> None:
    titles = list(dict.fromkeys(point.panel for point in points))
    # one scale: a side effect must not look as large as an effect that it is not
    panels = canvas.subplots(1, len(titles), sharex=True, sharey=True, squeeze=False)[0]
    for axes, title in zip(panels, titles, strict=True):
        shown = [p for p in points if p.panel == title]
        _panel(axes, shown, names)
        axes.set_xlabel(title + mark_of(any(point.few for point in shown)))
    panels[0].set_yticks(range(len(names)), names)
    panels[0].set_ylim(len(names) - 0.5, -0.5)
    draw_legend(canvas)


def _panel(axes: Axes, points: list[Point], names: list[str]) -> None:
    axes.axvline(0, color=style.BASELINE, lw=1.0)
    looks = sorted({(p.group == places.RANDOM, p.strength or 0.0, p.group) for p in points})
    treated = [size for _, size, group in looks if group == places.TREATMENT]
    for index, (_, size, group) in enumerate(looks):
        colour, (marker, label) = style.CONTROL, style.CONTROLS[places.RANDOM]
        if group == places.TREATMENT:
            colour, marker = style.series_look(treated.index(size))
            label = f"strength {strength(size)}"
        shift = (index - (len(looks) - 1) / 2) * 0.6 / len(looks)
        for point in (p for p in points if (p.group, p.strength or 0.0) == (group, size)):
            y = names.index(point.series) + shift
            if point.low is not None and point.high is not None:
                axes.plot([point.low, point.high], [y, y], color=colour, lw=1.4)
            axes.plot(
                point.y, y, color=colour, marker=marker, ms=6, ls="none", mec="white", mew=0.7,
                label=label,
            )  # fmt: skip
    axes.grid(axis="y", visible=False)
    axes.margins(x=0.08)
