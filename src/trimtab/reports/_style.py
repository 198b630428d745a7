"""How figures look, and how they are written so that equal data give equal bytes."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, MUTED, GRID, PAPER = "#1b1f24", "#626a73", "#e3e6e9", "#ffffff"
BASELINE, PROMPT, CONTROL = "#626a73", "#d55e00", "#8d959e"
# Okabe and Ito's palette without the colours used above: told apart by colour-blind readers too.
SERIES = ("#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
MARKERS = ("o", "s", "^", "D", "v")

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
    # Text stays text: small files, readable by screen readers, in the page's own font and ink.
    "svg.fonttype": "none",
    "svg.hashsalt": "trimtab",
}


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


def save(figure: Figure, path: Path) -> list[Path]:
    """Write ``path`` as PNG (1800 px at 9 inches) and SVG, without date or program version."""
    png, svg = path.with_suffix(".png"), path.with_suffix(".svg")
    figure.savefig(png, dpi=200, metadata={"Software": None})
    figure.savefig(svg, metadata={"Date": None, "Creator": None})
    return [png, svg]


def place_labels(axes: Axes, points: list[tuple[float, float, str, str]]) -> None:
    """Label points (x, y, text, colour), each where it hides no marker and no earlier label."""
    figure = axes.get_figure(root=True)
    assert figure is not None
    renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
    figure.draw_without_rendering()
    taken = [_around(axes.transData.transform((x, y)), figure.dpi) for x, y, _, _ in points]
    for x, y, text, colour in points:
        best, least = (8.0, 0.0, "left", "center"), float("inf")
        for option in _OPTIONS:
            made = axes.annotate(
                text, (x, y), option[:2], textcoords="offset points", ha=option[2], va=option[3]
            )
            box = made.get_window_extent(renderer)
            made.remove()
            inside = axes.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1 and box.y0 >= axes.bbox.y0
            overlap = sum(_shared(box.extents, other) for other in taken) + (0 if inside else 1e6)
            if overlap < least:
                best, least, extent = option, overlap, tuple(box.extents)
        axes.annotate(
            text, (x, y), best[:2], textcoords="offset points", ha=best[2], va=best[3],
            color=colour, fontsize=9,
        )  # fmt: skip
        taken.append(extent)


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


def _around(point: tuple[float, float], dpi: float) -> _Box:
    half = 5 * dpi / 72
    return (point[0] - half, point[1] - half, point[0] + half, point[1] + half)


def _shared(a: _Box, b: _Box) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    return width * height if width > 0 and height > 0 else 0.0
