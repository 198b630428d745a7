"""How figures look, and how they are written so that equal data give equal bytes."""

from __future__ import annotations

import itertools
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trimtab.reports.data import conditions
from trimtab.reports.draw.format import MINUS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MAX_TICKS = 7
_MAX_TICK_LETTERS = 6
# Inches of a legend's symbol with its gaps, and of a character beside it.
_HANDLE, _CHARACTER = 0.65, 0.075
INK, MUTED, GRID, PAPER = "#1b1f24", "#626a73", "#e3e6e9", "#ffffff"
BASELINE, PROMPT, CONTROL = "#626a73", "#d55e00", "#8d959e"
# Okabe and Ito's palette without the colours used above: told apart by colour-blind readers too.
SERIES = ("#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
MARKERS = ("o", "s", "^", "D", "v")
HATCHES = ("", "///", "...", "xxx", "\\\\\\")
"""What is drawn over bars that have a colour in common."""
CONTROLS = {conditions.RANDOM: ("X", "random vector"), conditions.CONTROL: ("<", "other control")}
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


def bar_look(index: int) -> tuple[str, str]:
    """Return colour and hatch of bars; no two of the first 25 have both in common."""
    return SERIES[index % len(SERIES)], HATCHES[index // len(SERIES) % len(HATCHES)]


def legend_below(figure: Figure, handles: dict[str, Any]) -> None:
    """Put a legend of (name, handle) below everything, in as many columns as are sure to fit."""
    wide = _HANDLE + _CHARACTER * max(map(len, handles), default=1)
    columns = min(len(handles), max(1, int(figure.get_figwidth() / wide)))
    figure.legend(list(handles.values()), list(handles), loc="outside lower center", ncols=columns)


def save(figure: Figure, path: Path) -> list[Path]:
    """Write ``path`` as PNG (1800 px at 9 inches) and SVG, without date or program version."""
    png, svg = path.with_suffix(".png"), path.with_suffix(".svg")
    figure.savefig(png, dpi=200, metadata={"Software": None})
    # laid out once: both show the same, and laying out takes longer than drawing
    figure.set_layout_engine("none")
    figure.savefig(svg, metadata={"Date": None, "Creator": None})
    return [png, svg]


def strength_ticks(axes: Axes, strengths: list[float]) -> None:
    """Put a tick under each strength that was run, or a few round ones where they are many."""
    from matplotlib.ticker import MaxNLocator

    gaps = [b - a for a, b in itertools.pairwise(strengths)]
    names = [f"{strength:g}".replace("-", MINUS) for strength in strengths]
    few = len(strengths) <= _MAX_TICKS and max(map(len, names), default=0) <= _MAX_TICK_LETTERS
    if gaps and few and min(gaps) > 0.08 * (strengths[-1] - strengths[0]):
        axes.set_xticks(strengths, names)
    else:
        axes.xaxis.set_major_locator(MaxNLocator(5))
