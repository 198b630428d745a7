"""Figures: effect and damage against strength, and effect against side effect."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from trimtab.reports.data import conditions as places
from trimtab.reports.data.numbers import Numbers
from trimtab.reports.data.run import RunData
from trimtab.reports.draw import labels, style
from trimtab.reports.draw.figures import (
    POINT_COLUMNS,
    WIDTH,
    Figure,
    Point,
    draw_bar,
    draw_legend,
    mark_of,
    note_of,
    point_rows,
)
from trimtab.reports.draw.format import strength, tick
from trimtab.reports.sections.effects.panels import (
    strength_panels,
    strength_points,
    strength_unit,
    tradeoff_points,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

# largest value of a panel over its smallest, from which on its axis is logarithmic
_MOST_LINEAR = 1000.0


def strength_figure(numbers: Numbers) -> list[Figure]:
    """Return the figure ``strength``: effects above, damage below; [] if nothing has a strength."""
    points = strength_points(numbers)
    if not points:
        return []
    grid = [[panel.title for panel in row] for row in strength_panels(numbers)]
    caption = _strength_caption(points, len(grid)) + note_of(any(p.few for p in points))
    size = (WIDTH, 0.6 + 2.5 * len(grid))
    plot = partial(_plot_strength, points, grid, strength_unit(numbers))
    return [Figure("strength", caption, POINT_COLUMNS, point_rows(points), size, plot)]


def _strength_caption(points: list[Point], rows: int) -> str:
    """Return what is drawn, and nothing that isn't."""
    groups = {point.group for point in points}
    marks = {
        places.BASELINE: "; grey line: baseline",
        places.PROMPT: "; dashed: the prompt",
        places.RANDOM: "; grey crosses: random vectors of equal length",
    }
    head = "Effect (above) and damage (below)" if rows > 1 else "Each metric"
    drawn = "".join(words for group, words in marks.items() if group in groups)
    beside = "; what shares a strength stands side by side" * _has_neighbours(points)
    return f"{head} against strength, with 95 % intervals{drawn}{beside}."


def _has_neighbours(points: list[Point]) -> bool:
    """Return whether any controls, or any lines, of a panel share a strength and are moved."""
    moved = [
        (point.panel, point.x, point.group in style.CONTROLS)
        for point in points
        if point.x is not None and point.group in (places.TREATMENT, *style.CONTROLS)
    ]
    return len(set(moved)) < len(moved)


def _plot_strength(points: list[Point], grid: list[list[str]], unit: str, canvas: Canvas) -> None:
    series = sorted({p.series for p in points if p.group == places.TREATMENT})
    columns = max(len(row) for row in grid)
    panels = canvas.subplots(len(grid), columns, squeeze=False)
    for row, titles in enumerate(grid):
        for column in range(columns):
            axes = panels[row][column]
            if column >= len(titles):
                axes.set_axis_off()
                continue
            shown = [p for p in points if p.panel == titles[column]]
            _strength_panel(axes, shown, series)
            axes.set_title(titles[column] + mark_of(any(p.few for p in shown)))
            if row == len(grid) - 1 or column >= len(grid[row + 1]):
                axes.set_xlabel(f"strength ({unit})" if unit else "strength")
    draw_legend(canvas)


def _strength_panel(axes: Axes, points: list[Point], series: list[str]) -> None:
    _levels(axes, points)
    zero = [p for p in points if p.group == places.ZERO and p.x is not None]
    treated = [p for p in points if p.group == places.TREATMENT and p.x is not None]
    lines = {
        name: sorted(
            [p for p in treated if p.series == name]
            + [p for p in zero if p.series == name or p.series not in series],
            key=lambda p: p.x or 0.0,
        )
        for name in series
    }
    reach = max((abs(p.x or 0.0) for drawn in lines.values() for p in drawn), default=0.0)
    # beside each other where several share a strength; the longest line in its place
    for rank, name in enumerate(sorted(series, key=lambda name: -len(lines[name]))):
        if not lines[name]:
            continue  # it has no strength
        side = (rank + 1) // 2 * (1 if rank % 2 else -1)
        _line(axes, lines[name], name, series.index(name), side * 0.035 * reach)
    _controls(axes, [p for p in points if p.group in style.CONTROLS and p.x is not None])
    if _spans_decades([p.y for p in points]):
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(lambda value, _: tick(value))
    style.strength_ticks(axes, sorted({p.strength for p in points if p.strength is not None}))
    axes.margins(y=0.12)


def _levels(axes: Axes, points: list[Point]) -> None:
    """Draw what has no strength across the panel."""
    for point in points:
        if point.group == places.BASELINE:
            axes.axhline(point.y, color=style.BASELINE, lw=1.2, label="baseline")
            if point.low is not None and point.high is not None:
                axes.axhspan(point.low, point.high, color=style.BASELINE, alpha=0.13, lw=0)
        elif point.group == places.PROMPT:
            axes.axhline(point.y, color=style.PROMPT, lw=1.6, ls=(0, (5, 3)), label=point.condition)


def _spans_decades(values: list[float]) -> bool:
    """Whether one value would press all others flat, and none is 0 or below."""
    return bool(values) and 0 < _MOST_LINEAR * min(values) < max(values)


def _line(axes: Axes, points: list[Point], name: str, index: int, offset: float) -> None:
    colour, marker = style.series_look(index)
    x, y = [(p.x or 0.0) + offset for p in points], [p.y for p in points]
    if len(points) == 1:
        draw_bar(axes, x[0], points[0], colour)
    low = [p.y if p.low is None else p.low for p in points]
    high = [p.y if p.high is None else p.high for p in points]
    axes.fill_between(x, low, high, color=colour, alpha=0.18, lw=0)
    axes.plot(x, y, color=colour, marker=marker, ms=5, lw=1.8, mec="white", mew=0.8, label=name)


def _controls(axes: Axes, points: list[Point]) -> None:
    """Draw controls beside each other where several share a strength."""
    left, right = axes.get_xlim()
    for point in points:
        peers = [other for other in points if other.x == point.x]
        offset = (peers.index(point) - (len(peers) - 1) / 2) * 0.025 * (right - left)
        draw_bar(axes, (point.x or 0.0) + offset, point, style.CONTROL)
        marker, name = style.CONTROLS[point.group]
        axes.plot(
            (point.x or 0.0) + offset, point.y, color=style.CONTROL, marker=marker, ms=6,
            ls="none", mec="white", mew=0.6, label=name,
        )  # fmt: skip


def tradeoff_figure(run: RunData) -> list[Figure]:
    """Return the figure ``tradeoff``: each condition's gain against its cost; [] without both."""
    axes_and_points = tradeoff_points(run)
    if axes_and_points is None:
        return []
    across, up, points = axes_and_points
    caption = (
        "What each condition changed, against what it cost; labels are strengths, or names of what "
        "has none. Bars: 95 % intervals of the paired difference to the baseline."
        + note_of(any(p.few for p in points))
    )
    up += mark_of(any(p.few for p in points))
    plot = partial(_plot_tradeoff, points, across, up, run.plan.baseline)
    return [Figure("tradeoff", caption, POINT_COLUMNS, point_rows(points), (WIDTH, 4.8), plot)]


def _plot_tradeoff(
    points: list[Point], across: str, up: str, baseline: str, canvas: Canvas
) -> None:
    series = sorted({p.series for p in points if p.group == places.TREATMENT})
    axes = canvas.subplots()
    axes.axhline(0, color=style.BASELINE, lw=1.0)
    marks = []
    for point in points:
        colour, marker, name = _look(point, series)
        if point.x is None:
            continue
        draw_bar(axes, point.x, point, colour)
        axes.plot(
            point.x, point.y, color=colour, marker=marker, ms=8, ls="none", mec="white",
            mew=0.8, label=name,
        )  # fmt: skip
        text = _tag(point)
        marks.append(labels.Mark(point.x, point.y, point.low, point.high, text, colour))
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    axes.margins(x=0.08, y=0.1)
    axes.annotate(
        baseline, (1, 0), (-2, 3), xycoords=("axes fraction", "data"),
        textcoords="offset points", ha="right", color=style.BASELINE, fontsize=9,
    )  # fmt: skip
    labels.place_labels(axes, marks)
    draw_legend(canvas)


def _look(point: Point, series: list[str]) -> tuple[str, str, str]:
    """Return a point's colour, marker and name in the legend."""
    if point.group == places.TREATMENT:
        return *style.series_look(series.index(point.series)), point.series
    if point.group == places.PROMPT:
        return style.PROMPT, "P", point.condition
    if point.group in style.CONTROLS:
        return style.CONTROL, *style.CONTROLS[point.group]
    return style.BASELINE, "o", "strength 0"


def _tag(point: Point) -> str:
    """Return what a point is labelled with beside its colour: its strength, if that is the rest."""
    if point.group != places.TREATMENT:
        return ""
    return point.condition if point.strength is None else strength(point.strength)
