"""Projections over the updates of trainings: a line for each treatment and trigger."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from trimtab.reports.data.conditions import BASELINE, TREATMENT
from trimtab.reports.data.statistics import is_resampled
from trimtab.reports.draw import style
from trimtab.reports.draw.figures import (
    POINT_COLUMNS,
    WIDTH,
    Figure,
    Point,
    draw_bar,
    draw_legend,
    grid_of,
    label_edges,
    mark_of,
    note_of,
    point_rows,
)
from trimtab.reports.sections.contrasts.content import told
from trimtab.reports.sections.contrasts.figures import look
from trimtab.reports.sections.projection.content import STEP, ProjectedOn, ProjectionContent

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

_DASHES = ("-", "--", ":", "-.")


def projection_figures(content: ProjectionContent) -> list[Figure]:
    """Return the figure; nothing where no training was measured."""
    points = [point for vector in content.vectors for point in _points(content, vector)]
    if not any(point.group != BASELINE for point in points):
        return []
    panels = list(dict.fromkeys(point.panel for point in points))
    few = any(point.few for point in points)
    caption = (
        "Projection of answers onto each vector over the updates of trainings, which begin at the "
        "base. Dotted lines: the positive (upper) and negative answers that the vector was made "
        "of, read by the base. Bands: 95 % intervals over questions and seeds." + note_of(few)
    )
    size = (WIDTH, 1.0 + 2.8 * grid_of(len(panels), 2)[0])
    levels = {content.panel(vector): vector for vector in content.vectors}
    plot = partial(_plot, points, levels)
    rows = point_rows(points)
    return [Figure("projection_over_step", caption, POINT_COLUMNS, rows, size, plot)]


def _points(content: ProjectionContent, vector: ProjectedOn) -> Iterator[Point]:
    """Yield what is drawn: trainings that are asked as their earlier states are, and the base."""
    rates = [
        rate
        for rate in content.on(vector)
        if not any(isinstance(value, str) for value in rate.place.values())
        and (STEP in rate.place or not rate.place)
    ]
    every = {rate.trigger for rate in rates if STEP in rate.place and not rate.final}
    for rate in rates:
        if every and rate.trigger not in every:
            continue
        step = rate.place.get(STEP)
        base = rate.treatment == content.base
        if rate.mean is not None and (base or isinstance(step, int | float)):
            low, high = rate.interval or (None, None)
            yield Point(
                panel=content.panel(vector),
                condition=rate.trigger,
                group=BASELINE if base else TREATMENT,
                series=told(rate.treatment, rate.place, STEP),
                strength=None,
                x=float(step) if isinstance(step, int | float) else 0.0,
                y=rate.mean,
                low=low,
                high=high,
                n=rate.n,
                clusters=rate.num_clusters,
                resampled=is_resampled(rate),
            )


def _plot(points: Sequence[Point], levels: dict[str, ProjectedOn], canvas: Canvas) -> None:
    panels = list(dict.fromkeys(point.panel for point in points))
    axes = canvas.subplots(*grid_of(len(panels), 2), squeeze=False)
    triggers = list(dict.fromkeys(point.condition for point in points))
    for at, title in zip(axes.flat, panels, strict=False):
        shown = [point for point in points if point.panel == title]
        for series, trigger in dict.fromkeys((p.series, p.condition) for p in shown):
            line = [p for p in shown if (p.series, p.condition) == (series, trigger)]
            if line[0].group != BASELINE:  # a training begins at the base
                begun = [p for p in shown if (p.group, p.condition) == (BASELINE, trigger)]
                line = [*(replace(p, series=series) for p in begun), *line]
            _draw_line(at, line, look(series, points), _DASHES[triggers.index(trigger) % 4])
        for level in (levels[title].positive, levels[title].negative):
            if level is not None:
                at.axhline(level, color=style.MUTED, ls=":", lw=0.9)
        at.set_title(title + mark_of(any(p.few for p in shown)))
        at.xaxis.get_major_locator().set_params(integer=True)
    label_edges(axes, len(panels), "update", "projection")
    draw_legend(canvas)


def _draw_line(at: Any, line: Sequence[Point], colour: str, dash: str) -> None:
    ordered = sorted(line, key=lambda p: p.x or 0.0)
    name = f"{line[0].series}: {line[0].condition}"
    xs, ys = [p.x for p in ordered], [p.y for p in ordered]
    face = colour if dash != _DASHES[0] else "white"
    at.plot(xs, ys, color=colour, ls=dash, marker="o", ms=4.5, mfc=face, label=name)
    banded = [p for p in ordered if p.low is not None and p.high is not None]
    if len(banded) == 1:
        draw_bar(at, banded[0].x or 0.0, banded[0], colour)
    at.fill_between(
        [p.x for p in banded], [p.low for p in banded], [p.high for p in banded],
        color=colour, alpha=0.1, lw=0,
    )  # fmt: skip
