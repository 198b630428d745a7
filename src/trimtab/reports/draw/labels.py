"""Labels beside points, placed where they hide nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.text import Annotation

# Share of a label that may lie on markers and intervals; on another label it can't be read.
_CROWDED = 0.35
_UNREADABLE = 20.0

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
    labels: list[_Box] = []
    frame = (axes.bbox.x0, axes.bbox.y0, axes.bbox.x1, axes.bbox.y1)
    for mark in (mark for mark in marks if mark.text):
        places: list[tuple[float, int, tuple[float, float, str, str], _Box]] = []
        for option in _OPTIONS:
            made = _annotate(axes, mark, option)
            box = tuple(made.get_window_extent().extents)
            made.remove()
            outside = _area(box) - _shared(box, frame)
            hidden = sum(_shared(box, other) for other in taken)
            hidden += _UNREADABLE * sum(_shared(box, other) for other in labels)
            places.append((hidden + 1000 * outside, len(places), option, box))
        cost, _, option, box = min(places)
        if cost <= _CROWDED * _area(box):
            _annotate(axes, mark, option)
            labels.append(box)


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
