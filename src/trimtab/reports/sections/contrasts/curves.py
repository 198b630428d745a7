"""Curves over a number that conditions differ in: a training's steps, facts in context."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from trimtab.reports.data.conditions import BASELINE
from trimtab.reports.data.run import RunData
from trimtab.reports.draw.figures import (
    POINT_COLUMNS,
    WIDTH,
    Figure,
    Point,
    draw_legend,
    grid_of,
    label_edges,
    mark_of,
    note_of,
    point_rows,
)
from trimtab.reports.sections.contrasts.content import ContrastsContent, Rate, line_of, told
from trimtab.reports.sections.contrasts.figures import look, point

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

_DASHES = ("-", "--", ":", "-.")


def curve_figures(content: ContrastsContent, run: RunData, steps: str) -> list[Figure]:
    """Return a figure for each number that conditions differ in and nothing else.

    Args:
        content: The rates.
        run: The run.
        steps: The coordinate along which only the last is a result.
    """
    axes = dict.fromkeys(
        name
        for rate in content.rates
        for name, value in rate.place.items()
        if not isinstance(value, str)
    )
    found = []
    for axis in axes:
        # of what is no result, the steps of one training and nothing else
        some = [rate for rate in content.rates if axis == steps or rate.final]
        points = curve_points(content, run, axis, some)
        if points:
            found.append(_figure(axis, points))
    return found


def curve_points(
    content: ContrastsContent, run: RunData, axis: str, rates: Sequence[Rate]
) -> list[Point]:
    """Return the rates of conditions that differ along ``axis``, and the base's beside them.

    The base stands at no place of an axis: its ``x`` is empty.
    """
    lines: dict[tuple[object, ...], list[Rate]] = {}
    for rate in rates:
        at = rate.place.get(axis)
        if at is not None and not isinstance(at, str):
            rest = {k: v for k, v in rate.place.items() if k != axis}
            name = told(line_of(rate.treatment, at), rest, content.steps)
            beside = rate.model_copy(update={"treatment": name})
            key = (rate.measure, rate.metric, name, rate.trigger)
            lines.setdefault(key, []).append(beside)
    several = [line for line in lines.values() if len(line) > 1]
    points = [
        point(rate, content, run, float(rate.place[axis]))
        for line in several
        for rate in sorted(line, key=lambda rate: float(rate.place[axis]))
    ]
    drawn = {(line[0].measure, line[0].metric, line[0].trigger) for line in several}
    points += [
        point(rate, content, run)
        for rate in rates
        if rate.treatment == content.base
        and not rate.place
        and (rate.measure, rate.metric, rate.trigger) in drawn
    ]
    return points


def _figure(axis: str, points: list[Point]) -> Figure:
    panels = list(dict.fromkeys(p.panel for p in points))
    caption = (
        f"Every condition along {axis}. Bands: 95 % intervals; grey: the base, which has no place "
        "on the axis." + note_of(any(p.few for p in points))
    )
    size = (WIDTH, 1.0 + 2.4 * grid_of(len(panels), 2)[0])
    plot = partial(_plot, points, panels, axis)
    return Figure(f"contrast_over_{axis}", caption, POINT_COLUMNS, point_rows(points), size, plot)


def _plot(points: Sequence[Point], panels: Sequence[str], axis: str, canvas: Canvas) -> None:
    axes = canvas.subplots(*grid_of(len(panels), 2), squeeze=False)
    triggers = list(dict.fromkeys(p.condition for p in points))
    for at, title in zip(axes.flat, panels, strict=False):
        shown = [p for p in points if p.panel == title and p.y == p.y]
        for key in dict.fromkeys((p.series, p.condition, p.x is None) for p in shown):
            line = [p for p in shown if (p.series, p.condition, p.x is None) == key]
            colour, dash = look(key[0], points), _DASHES[triggers.index(key[1]) % len(_DASHES)]
            name = f"{key[0]}: {key[1]}"
            if line[0].group == BASELINE and key[2]:
                at.axhline(line[0].y, color=colour, ls=dash, lw=1.0, label=name)
                continue
            xs, ys = [p.x for p in line], [p.y for p in line]
            at.plot(xs, ys, color=colour, ls=dash, marker="o", ms=4, label=name)
            banded = [p for p in line if p.low is not None and p.high is not None]
            at.fill_between(
                [p.x for p in banded], [p.low for p in banded], [p.high for p in banded],
                color=colour, alpha=0.12, lw=0,
            )  # fmt: skip
        at.set_title(title + mark_of(any(p.few for p in shown)))
        if all(p.x is None or p.x == int(p.x) for p in points):
            at.xaxis.get_major_locator().set_params(integer=True)
    label_edges(axes, len(panels), axis, "")
    draw_legend(canvas)
