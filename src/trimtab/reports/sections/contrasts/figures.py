"""Figures of contrasts: conditions, curves over steps and other numbers, forests of differences."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from trimtab.reports.data.conditions import BASELINE, TREATMENT
from trimtab.reports.data.run import RunData
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
    mark_of,
    note_of,
    point_rows,
)
from trimtab.reports.draw.format import form_of, label, scale
from trimtab.reports.sections.contrasts.content import ContrastsContent, Rate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas


def condition_figure(content: ContrastsContent, run: RunData) -> list[Figure]:
    """Return grouped bars: a panel per metric, a group per trigger, a colour per treatment."""
    points = [point(rate, content, run) for rate in content.rates if rate.final]
    if not points:
        return []
    panels = list(dict.fromkeys(p.panel for p in points))
    lines, _ = grid_of(len(panels), 2)
    names = list(dict.fromkeys(p.condition for p in points))
    size = (WIDTH, 1.2 + lines * max(2.2, 0.9 + 0.09 * max(map(len, names))))
    caption = (
        "Every condition: what the prompt has, and what was done to the model. Bars: 95 % "
        "intervals over questions and seeds." + note_of(any(p.few for p in points))
    )
    plot = partial(_plot_conditions, points, panels, names)
    rows = point_rows(points)
    return [Figure("contrast_conditions", caption, POINT_COLUMNS, rows, size, plot)]


def point(rate: Rate, content: ContrastsContent, run: RunData, x: float | None = None) -> Point:
    """Return a rate as a point: its series is the treatment, its condition the trigger."""
    metric = run.shown.measures[rate.measure].metric(rate.metric)
    factor = scale(form_of(metric))
    low, high = rate.interval or (None, None)
    several = len({other.measure for other in content.rates}) > 1
    return Point(
        panel=f"{label(metric)}, {rate.measure}" if several else label(metric),
        condition=rate.trigger,
        group=BASELINE if rate.treatment == content.base else TREATMENT,
        series=content.who(rate) if x is None else rate.treatment,
        strength=None,
        x=x,
        y=float("nan") if rate.mean is None else factor * rate.mean,
        low=None if low is None else factor * low,
        high=None if high is None else factor * high,
        n=rate.n,
        clusters=rate.num_clusters,
        resampled=is_resampled(rate),
    )


def _plot_conditions(
    points: Sequence[Point], panels: Sequence[str], names: Sequence[str], canvas: Canvas
) -> None:
    axes = canvas.subplots(*grid_of(len(panels), 2), squeeze=False)
    series = list(dict.fromkeys(p.series for p in points))
    wide = 0.8 / len(series)
    for at, title in zip(axes.flat, panels, strict=False):
        shown = [p for p in points if p.panel == title]
        for number, one in enumerate(series):
            colour, hatch = bar_look(one, points)
            for p in (p for p in shown if p.series == one and p.y == p.y):
                x = names.index(p.condition) + (number - (len(series) - 1) / 2) * wide
                at.bar(
                    x, p.y, width=0.92 * wide, color=colour, hatch=hatch, edgecolor=style.PAPER,
                    linewidth=0, label=one,
                )  # fmt: skip
                draw_bar(at, x, p, style.INK)
        at.set_title(title + mark_of(any(p.few for p in shown)))
        at.set_xticks(range(len(names)), names, rotation=30, ha="right")
        at.grid(axis="x", visible=False)
    for at in axes.flat[len(panels) :]:
        at.set_visible(False)
    draw_legend(canvas)


def bar_look(series: str, points: Sequence[Point]) -> tuple[str, str]:
    """Return colour and hatch of a series' bars: greys for the base, however it is asked."""
    bases = list(dict.fromkeys(p.series for p in points if p.group == BASELINE))
    if series in bases:
        return style.BASELINE, style.HATCHES[bases.index(series) % len(style.HATCHES)]
    treated = list(dict.fromkeys(p.series for p in points if p.group != BASELINE))
    return style.bar_look(treated.index(series))


def look(series: str, points: Sequence[Point]) -> str:
    """Return the colour of a series: grey for the base."""
    if any(p.series == series and p.group == BASELINE for p in points):
        return style.BASELINE
    treated = [p.series for p in points if p.group != BASELINE]
    return style.series_look(list(dict.fromkeys(treated)).index(series))[0]


def forest_figures(content: ContrastsContent, run: RunData) -> list[Figure]:
    """Return the differences in differences, and those of the leading contrast by category."""
    points = _forest(content, run)
    found = []
    if points:
        caption = (
            f"Difference in differences: what the trigger does beyond what it does to "
            f"{content.base}. Bars: 95 % intervals." + note_of(any(p.few for p in points))
        )
        found.append(_forest_figure("contrast_forest", caption, points))
    points = _categories(content, run)
    if points:
        caption = (
            "The leading contrast by category of question, every question a cluster of its own. "
            "Bars: 95 % intervals." + note_of(any(p.few for p in points))
        )
        found.append(_forest_figure("contrast_categories", caption, points))
    return found


def _forest(content: ContrastsContent, run: RunData) -> list[Point]:
    points = []
    for contrast in content.results:
        found = contrast.difference
        metric = run.shown.measures[contrast.measure].metric(contrast.metric)
        if found is not None:
            name = f"{content.who(contrast)}: {contrast.trigger}"
            several = len({one.measure for one in content.contrasts}) > 1
            panel = f"{label(metric)}, {contrast.measure}" if several else label(metric)
            points.append(
                _difference(panel, name, scale(form_of(metric)), found.difference, found.interval,
                            (found.n, found.num_clusters))
            )  # fmt: skip
    return points


def _categories(content: ContrastsContent, run: RunData) -> list[Point]:
    if content.leading is None:
        return []
    contrast = content.contrasts[content.leading]
    metric = run.shown.measures[contrast.measure].metric(contrast.metric)
    factor, whole = scale(form_of(metric)), contrast.difference
    rows = [(row.category, row.difference) for row in content.categories]
    return [
        _difference(label(metric), name, factor, found.difference, found.interval,
                    (found.n, found.num_clusters))
        for name, found in [*rows, *([("all questions", whole)] if rows else [])]
        if found is not None
    ]  # fmt: skip


def _difference(
    panel: str,
    name: str,
    factor: float,
    value: float,
    interval: tuple[float, float] | None,
    counts: tuple[int, int],
) -> Point:
    low, high = interval or (None, None)
    return Point(
        panel=panel,
        condition=name,
        group=TREATMENT,
        series=name,
        strength=None,
        x=None,
        y=factor * value,
        low=None if low is None else factor * low,
        high=None if high is None else factor * high,
        n=counts[0],
        clusters=counts[1],
    )


def _forest_figure(name: str, caption: str, points: list[Point]) -> Figure:
    panels = list(dict.fromkeys(p.panel for p in points))
    names = list(dict.fromkeys(p.condition for p in points))
    lines, _ = grid_of(len(panels))
    size = (WIDTH, 0.6 + lines * (0.9 + 0.3 * len(names)))
    plot = partial(_plot_forest, points, panels, names)
    return Figure(name, caption, POINT_COLUMNS, point_rows(points), size, plot)


def _plot_forest(
    points: Sequence[Point], panels: Sequence[str], names: Sequence[str], canvas: Canvas
) -> None:
    axes = canvas.subplots(*grid_of(len(panels)), sharey=True, squeeze=False)
    for at, title in zip(axes.flat, panels, strict=False):
        shown = [p for p in points if p.panel == title]
        _forest_panel(at, shown, names)
        at.set_xlabel(f"Δ of gaps, {title}" + mark_of(any(p.few for p in shown)))
    for at in axes.flat[len(panels) :]:
        at.set_visible(False)
    for row in axes:
        row[0].set_yticks(range(len(names)), names)
        row[0].set_ylim(len(names) - 0.5, -0.5)


def _forest_panel(at: Axes, points: Sequence[Point], names: Sequence[str]) -> None:
    at.axvline(0, color=style.BASELINE, lw=1.0)
    for p in points:
        y = names.index(p.condition)
        if p.low is not None and p.high is not None:
            at.plot([p.low, p.high], [y, y], color=style.SERIES[0], lw=1.4)
        at.plot(p.y, y, color=style.SERIES[0], marker="o", ms=6, ls="none", mec="white", mew=0.7)
    at.grid(axis="y", visible=False)
    at.margins(x=0.08)
