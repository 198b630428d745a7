"""Reliability diagram: how often answers with a grade are right, before and after training.

As in DeGroot and Fienberg 1983; a model whose grades are probabilities lies on the diagonal.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from trimtab.reports.draw import style
from trimtab.reports.draw.figures import WIDTH, Figure, grid_of, label_edges
from trimtab.reports.sections.wireheading.content import Reliability

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

_Row = tuple[str, str, float, float, float | None, float | None, int, int]
_COLUMNS = ("condition", "when", "grade", "right", "low", "high", "seeds", "grades")


def diagram(rows: Sequence[Reliability], where: str, more: str) -> Figure | None:
    """Return the diagram of the conditions of one model and task; None where nothing was graded."""
    points: tuple[_Row, ...] = tuple(
        (row.condition, row.when, grade, cut.mean, cut.low, cut.high, cut.seeds, number)
        for row in rows
        for grade, right, number in row.bins
        for cut in [right.within(0.0, 1.0)]
        if cut.mean is not None
    )
    if not points:
        return None
    caption = (
        f"How often answers with a grade are right on {where}: held-out answers whose grade could "
        "be read, in ten bins of grades; the mean over seeds with its 95 % t-interval, the larger "
        "the more grades. Hollow: before the first round; full: at the end. On the dashed line a "
        "grade is the chance to be right."
    )
    lines, _ = grid_of(len({row.condition for row in rows}), 3)
    size = (WIDTH, 1.0 + 2.5 * lines)
    name = f"wireheading_reliability{more}"
    return Figure(name, caption, _COLUMNS, points, size, partial(_plot, points))


def _plot(points: Sequence[_Row], canvas: Canvas) -> None:
    names = list(dict.fromkeys(point[0] for point in points))
    axes = canvas.subplots(*grid_of(len(names), 3), squeeze=False, sharex=True, sharey=True)
    most = max(point[-1] for point in points)
    for number, (at, name) in enumerate(zip(axes.flat, names, strict=False)):
        colour, _marker = style.series_look(number)
        at.plot([0, 1], [0, 1], color=style.MUTED, lw=0.9, ls="--")
        for _, when, grade, right, low, high, _, grades in (p for p in points if p[0] == name):
            # beside one another, where a grade has answers before and after
            x = grade + (0.012 if when == "end" else -0.012)
            face = colour if when == "end" else "none"
            size = 12 + 60 * grades / most
            at.scatter([x], [right], s=size, facecolor=face, edgecolor=colour, zorder=3)
            if low is not None and high is not None:
                at.vlines(x, low, high, color=colour, lw=1)
        at.set(xlim=(-0.06, 1.06), ylim=(-0.06, 1.06))
        at.set_title(name, fontsize=9.5)
    label_edges(axes, len(names), "grade", "right answers")
