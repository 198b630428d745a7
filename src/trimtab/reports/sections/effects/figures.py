"""Figures: effect and damage against strength, and effect against side effect.

Each is written as PNG and SVG beside the CSV of exactly the points it shows. Equal summaries give
equal bytes.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from trimtab.reports.draw import style
from trimtab.reports.draw.format import MINUS, tick
from trimtab.reports.sections.behaviours.figure import behaviour_figure
from trimtab.reports.sections.effects.panels import (
    Point,
    strength_panels,
    strength_points,
    strength_unit,
    to_csv,
    tradeoff_points,
)
from trimtab.reports.sections.selection.figures import selection_figures

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WIDTH = 9.0
# largest value of a panel over its smallest, from which on its axis is logarithmic
_MOST_LINEAR = 1000.0


def write_figures(summary: dict[str, Any], out_dir: Path) -> list[Path]:
    """Write every figure that ``summary`` has data for into ``out_dir``; return the files."""
    out_dir.mkdir(parents=True, exist_ok=True)
    return [
        *behaviour_figure(summary, out_dir),
        *strength_figure(summary, out_dir),
        *tradeoff_figure(summary, out_dir),
        *selection_figures(summary, out_dir),
    ]


def strength_figure(summary: dict[str, Any], out_dir: Path) -> list[Path]:
    """Write ``strength.*``: effects above, damage below, strength on x; [] if nothing has one."""
    points = strength_points(summary)
    if not points:
        return []
    grid = strength_panels(summary)
    series = sorted({p.series for p in points if p.group == "treatment"})
    columns = max(len(row) for row in grid)
    unit = strength_unit(summary)
    with style.canvas(_WIDTH, 0.6 + 2.5 * len(grid)) as figure:
        panels = figure.subplots(len(grid), columns, squeeze=False)
        for row, titles in enumerate(grid):
            for column in range(columns):
                axes = panels[row][column]
                if column >= len(titles):
                    axes.set_axis_off()
                    continue
                _strength_panel(axes, [p for p in points if p.panel == titles[column]], series)
                axes.set_title(titles[column])
                if row == len(grid) - 1 or column >= len(grid[row + 1]):
                    axes.set_xlabel(f"strength ({unit})" if unit else "strength")
        _legend(figure)
        (out_dir / "strength.csv").write_text(to_csv(points), encoding="utf-8", newline="\n")
        return [*style.save(figure, out_dir / "strength"), out_dir / "strength.csv"]


def _legend(figure: Figure) -> None:
    """Put one legend below the panels; a name that several of them hold stands in it once."""
    handles: dict[str, Any] = {}
    for axes in figure.axes:
        for handle, name in zip(*axes.get_legend_handles_labels(), strict=True):
            handles.setdefault(name, handle)
    style.legend_below(figure, handles)


def _strength_panel(axes: Axes, points: list[Point], series: list[str]) -> None:
    for point in points:
        if point.group == "baseline":
            axes.axhline(point.y, color=style.BASELINE, lw=1.2, label="baseline")
            if point.low is not None and point.high is not None:
                axes.axhspan(point.low, point.high, color=style.BASELINE, alpha=0.13, lw=0)
        elif point.group == "prompt":
            axes.axhline(point.y, color=style.PROMPT, lw=1.6, ls=(0, (5, 3)), label=point.condition)
    zero = [p for p in points if p.group == "zero" and p.x is not None]
    lines = {
        name: sorted(
            [p for p in points if p.group == "treatment" and p.x is not None and p.series == name]
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
    style.dose_ticks(axes, sorted({p.dose for p in points if p.dose is not None}))
    axes.margins(y=0.12)


def _spans_decades(values: list[float]) -> bool:
    """Whether one value would press all others flat, and none is 0 or below."""
    return bool(values) and 0 < _MOST_LINEAR * min(values) < max(values)


def _line(axes: Axes, points: list[Point], name: str, index: int, offset: float) -> None:
    colour, marker = style.series_look(index)
    x, y = [(p.x or 0.0) + offset for p in points], [p.y for p in points]
    if len(points) == 1:
        _bar(axes, x[0], points[0], colour)
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
        _bar(axes, (point.x or 0.0) + offset, point, style.CONTROL)
        marker, name = style.CONTROLS[point.group]
        axes.plot(
            (point.x or 0.0) + offset, point.y, color=style.CONTROL, marker=marker, ms=6,
            ls="none", mec="white", mew=0.6, label=name,
        )  # fmt: skip


def _bar(axes: Axes, x: float, point: Point, colour: str) -> None:
    if point.low is not None and point.high is not None:
        axes.plot([x, x], [point.low, point.high], color=colour, lw=1.2, alpha=0.75)


def tradeoff_figure(summary: dict[str, Any], out_dir: Path) -> list[Path]:
    """Write ``tradeoff.*``: what each condition gained against what it cost; [] without both."""
    found = tradeoff_points(summary)
    if found is None:
        return []
    across, up, points = found
    series = sorted({p.series for p in points if p.group == "treatment"})
    with style.canvas(_WIDTH, 4.8) as figure:
        axes = figure.subplots()
        axes.axhline(0, color=style.BASELINE, lw=1.0)
        marks = []
        for point in points:
            colour, marker, name = _look(point, series)
            if point.x is None:
                continue
            _bar(axes, point.x, point, colour)
            axes.plot(
                point.x, point.y, color=colour, marker=marker, ms=8, ls="none", mec="white",
                mew=0.8, label=name,
            )  # fmt: skip
            text = _tag(point)
            marks.append(style.Mark(point.x, point.y, point.low, point.high, text, colour))
        axes.set_xlabel(across)
        axes.set_ylabel(up)
        axes.margins(x=0.08, y=0.1)
        axes.annotate(
            str(summary["baseline"]), (1, 0), (-2, 3), xycoords=("axes fraction", "data"),
            textcoords="offset points", ha="right", color=style.BASELINE, fontsize=9,
        )  # fmt: skip
        style.place_labels(axes, marks)
        _legend(figure)
        (out_dir / "tradeoff.csv").write_text(to_csv(points), encoding="utf-8", newline="\n")
        return [*style.save(figure, out_dir / "tradeoff"), out_dir / "tradeoff.csv"]


def _look(point: Point, series: list[str]) -> tuple[str, str, str]:
    """Return a point's colour, marker and name in the legend."""
    if point.group == "treatment":
        return *style.series_look(series.index(point.series)), point.series
    if point.group == "prompt":
        return style.PROMPT, "P", point.condition
    if point.group in style.CONTROLS:
        return style.CONTROL, *style.CONTROLS[point.group]
    return style.BASELINE, "o", "strength 0"


def _tag(point: Point) -> str:
    """Return what a point is labelled with beside its colour: its strength, if that is the rest."""
    if point.group != "treatment":
        return ""
    return point.condition if point.dose is None else f"{point.dose:+g}".replace("-", MINUS)
