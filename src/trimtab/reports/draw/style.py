"""How figures look, and how they are written so that equal data give equal bytes."""

from __future__ import annotations

import itertools
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trimtab.reports.draw.format import MINUS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Annotation

_MAX_TICKS = 7
# Inches of a legend's symbol with its gaps, and of a character beside it.
_HANDLE, _CHARACTER = 0.65, 0.075
# Share of a label that may lie on something else.
_CROWDED = 0.35
INK, MUTED, GRID, PAPER = "#1b1f24", "#626a73", "#e3e6e9", "#ffffff"
BASELINE, PROMPT, CONTROL = "#626a73", "#d55e00", "#8d959e"
# Okabe and Ito's palette without the colours used above: told apart by colour-blind readers too.
SERIES = ("#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
MARKERS = ("o", "s", "^", "D", "v")
CONTROLS = {"random": ("X", "random vector"), "control": ("<", "other control")}
"""Marker and name of each group of controls; all have the colour ``CONTROL``."""

_RC = {
    "font.family": ["DejaVu Sans"],
    "font.size": 9.5,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 9.5,
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "legend.frameon": False,
    "legend.fontsize": 9.5,
    "figure.facecolor": PAPER,
    "axes.facecolor": PAPER,
    # A label may hold dollar signs.
    "text.parse_math": False,
    # Text stays text: small files, readable by screen readers, in the page's own font and ink.
    "svg.fonttype": "none",
    "svg.hashsalt": "trimtab",
}


_Box = tuple[float, ...]
_OPTIONS = tuple(
    (dx * r, dy * r, ha, va)
    for r in (8.0, 14.0, 22.0, 32.0)
    for dx, dy, ha, va in (
        (1, 0, "left", "center"),
        (0.7, 0.7, "left", "bottom"),
        (0.7, -0.7, "left", "top"),
        (-1, 0, "right", "center"),
        (-0.7, 0.7, "right", "bottom"),
        (-0.7, -0.7, "right", "top"),
        (0, 1, "center", "bottom"),
        (0, -1, "center", "top"),
    )
)


@contextmanager
def canvas(width: float, height: float) -> Iterator[Figure]:
    """Yield an empty figure of ``width`` x ``height`` inches in this style; no global state."""
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with mpl.rc_context(_RC):  # type: ignore[arg-type]
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(figure)
        yield figure


def series_look(index: int) -> tuple[str, str]:
    """Return colour and marker of a line; no two of the first 25 have both in common."""
    shift = index // len(SERIES)
    return SERIES[index % len(SERIES)], MARKERS[(index + shift) % len(MARKERS)]


def legend_below(figure: Figure, handles: dict[str, Any]) -> None:
    """Put a legend of (name, handle) below everything, in as many columns as are sure to fit."""
    wide = _HANDLE + _CHARACTER * max(map(len, handles), default=1)
    columns = min(len(handles), max(1, int(figure.get_figwidth() / wide)))
    figure.legend(list(handles.values()), list(handles), loc="outside lower center", ncols=columns)


def save(figure: Figure, path: Path) -> list[Path]:
    """Write ``path`` as PNG (1800 px at 9 inches) and SVG, without date or program version."""
    png, svg = path.with_suffix(".png"), path.with_suffix(".svg")
    figure.savefig(png, dpi=200, metadata={"Software": None})
    figure.savefig(svg, metadata={"Date": None, "Creator": None})
    return [png, svg]


def dose_ticks(axes: Axes, doses: list[float]) -> None:
    """Put a tick under each strength that was run, or a few round ones where they are many."""
    from matplotlib.ticker import MaxNLocator

    gaps = [b - a for a, b in itertools.pairwise(doses)]
    if gaps and len(doses) <= _MAX_TICKS and min(gaps) > 0.08 * (doses[-1] - doses[0]):
        axes.set_xticks(doses, [f"{dose:g}".replace("-", MINUS) for dose in doses])
    else:
        axes.xaxis.set_major_locator(MaxNLocator(5))


@dataclass(frozen=True)
class Mark:
    """A point that gets a label: its place and interval in data units, text and colour."""

    x: float
    y: float
    low: float | None
    high: float | None
    text: str
    colour: str


def place_labels(axes: Axes, marks: list[Mark]) -> None:
    """Label each mark where it hides no marker, no interval and no earlier label.

    A mark without a text only keeps labels away. A label for which there is no room is left out:
    the CSV beside the figure has every point.
    """
    figure = axes.get_figure(root=True)
    assert figure is not None
    figure.draw_without_rendering()
    taken = [box for mark in marks for box in _boxes(axes, mark, figure.dpi)]
    frame = (axes.bbox.x0, axes.bbox.y0, axes.bbox.x1, axes.bbox.y1)
    for mark in (mark for mark in marks if mark.text):
        places: list[tuple[float, int, tuple[float, float, str, str], _Box]] = []
        for option in _OPTIONS:
            made = _annotate(axes, mark, option)
            box = tuple(made.get_window_extent().extents)
            made.remove()
            outside = _area(box) - _shared(box, frame)
            hidden = sum(_shared(box, other) for other in taken)
            places.append((hidden + 1000 * outside, len(places), option, box))
        cost, _, option, box = min(places)
        if cost <= _CROWDED * _area(box):
            _annotate(axes, mark, option)
            taken.append(box)


def _annotate(axes: Axes, mark: Mark, option: tuple[float, float, str, str]) -> Annotation:
    dx, dy, across, up = option
    return axes.annotate(
        mark.text, (mark.x, mark.y), (dx, dy), textcoords="offset points", ha=across, va=up,
        color=mark.colour, fontsize=9,
    )  # fmt: skip


def _boxes(axes: Axes, mark: Mark, dpi: float) -> list[_Box]:
    """Return what a mark covers, in pixels: its marker and its interval."""
    half, thin = 5 * dpi / 72, 2 * dpi / 72
    x, y = (float(v) for v in axes.transData.transform((mark.x, mark.y)))
    boxes: list[_Box] = [(x - half, y - half, x + half, y + half)]
    if mark.low is not None and mark.high is not None:
        low, high = (float(axes.transData.transform((mark.x, v))[1]) for v in (mark.low, mark.high))
        boxes.append((x - thin, low, x + thin, high))
    return boxes


def _area(box: _Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def _shared(a: _Box, b: _Box) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    return width * height if width > 0 and height > 0 else 0.0
