"""Figures: each is written as PNG and SVG beside the CSV of exactly what it shows.

Equal figures give equal bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trimtab.reports.data.statistics import FEW_CLUSTERS, is_few
from trimtab.reports.draw import style
from trimtab.reports.draw.format import DAGGER
from trimtab.reports.draw.tables import to_csv

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

WIDTH = 9.0
"""Inches that a figure is wide."""


@dataclass(frozen=True)
class Figure:
    """A figure that is drawn when it is written.

    Attributes:
        name: File name without ending.
        caption: What it shows, in full sentences.
        columns: Columns of the CSV.
        rows: What is drawn, one tuple per row of the CSV.
        size: Width and height in inches.
        plot: Draws into an empty matplotlib figure; None leaves the CSV alone.
    """

    name: str
    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[object, ...], ...]
    size: tuple[float, float]
    plot: Callable[[Canvas], None] | None

    def write(self, out_dir: Path) -> list[Path]:
        """Write the files of the figure into ``out_dir`` and return them."""
        data = out_dir / f"{self.name}.csv"
        data.write_text(to_csv(self.columns, self.rows), encoding="utf-8", newline="\n")
        if self.plot is None:
            return [data]
        with style.canvas(*self.size) as canvas:
            self.plot(canvas)
            return [*style.save(canvas, out_dir / self.name), data]


@dataclass(frozen=True)
class Point:
    """One condition in one panel.

    Attributes:
        panel: Title of the panel.
        condition: Label of the condition.
        group: What it is there for, as in ``data.conditions``.
        series: Which line it belongs to.
        strength: Strength, if it has one.
        x: Horizontal coordinate.
        y: Value in the panel's unit.
        low: Lower end of the interval of ``y``.
        high: Upper end.
        n: Scored completions, or pairs where ``y`` is a difference.
        clusters: Clusters that the interval rests on; 0 is not known.
        resampled: Whether it was made by resampling these; Wilson's is as wide as few demand.
    """

    panel: str
    condition: str
    group: str
    series: str
    strength: float | None
    x: float | None
    y: float
    low: float | None
    high: float | None
    n: int
    clusters: int = 0
    resampled: bool = True

    @property
    def few(self) -> bool:
        """Whether its interval rests on so few clusters that it is too narrow."""
        return self.low is not None and self.resampled and is_few(self.clusters)


POINT_COLUMNS = tuple(field.name for field in fields(Point))


def point_rows(points: list[Point]) -> tuple[tuple[object, ...], ...]:
    """Return points as rows of a figure's CSV."""
    return tuple(tuple(getattr(point, name) for name in POINT_COLUMNS) for point in points)


def mark_of(few: bool) -> str:
    """Return what stands behind the title of a panel that has intervals over few clusters."""
    return f" {DAGGER}" * few


def note_of(few: bool) -> str:
    """Return what a caption adds where a panel has such a mark."""
    clusters = f"rest on fewer than {FEW_CLUSTERS} clusters and are too narrow."
    return f" {DAGGER}: with intervals that {clusters}" * few


def draw_bar(axes: Axes, x: float, point: Point, colour: str) -> None:
    """Draw the interval of a point as an upright bar at ``x``; nothing without one."""
    if point.low is not None and point.high is not None:
        axes.plot([x, x], [point.low, point.high], color=colour, lw=1.2, alpha=0.75)


def draw_legend(canvas: Canvas) -> None:
    """Put one legend below the panels; a name that several of them hold stands in it once."""
    handles: dict[str, Any] = {}
    for axes in canvas.axes:
        for handle, name in zip(*axes.get_legend_handles_labels(), strict=True):
            handles.setdefault(name, handle)
    style.legend_below(canvas, handles)


def grid_of(count: int, most_columns: int = 3) -> tuple[int, int]:
    """Return lines and columns of so many panels."""
    lines = -(-count // most_columns)
    return lines, -(-count // lines)


def label_edges(axes: Any, count: int, x: str, y: str) -> None:
    """Hide panels that hold nothing, and label the leftmost and the lowest ones."""
    columns = axes.shape[1]
    for index, at in enumerate(axes.flat):
        at.set_visible(index < count)
        if index % columns == 0:
            at.set_ylabel(y)
        if index + columns >= count:
            at.set_xlabel(x)
            at.tick_params(labelbottom=True)
