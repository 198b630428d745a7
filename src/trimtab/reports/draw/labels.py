"""Labels beside points, placed where they hide nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.text import Annotation

# Share of a label that may lie on markers and intervals; on another label it can't be read.
_CROWDED = 0.35
_UNREADABLE = 20.0

Boxes = npt.NDArray[np.float64]
"""Left, low, right and high ends in pixels, a row each."""
# The part of a label that lies before its anchor.
_BEFORE = {"left": 0.0, "bottom": 0.0, "center": 0.5, "right": 1.0, "top": 1.0}
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
    taken_B4 = np.array([box for mark in marks for box in _boxes(axes, mark, figure.dpi)])
    labels_B4 = np.empty((0, 4))
    frame_B4 = np.array([[axes.bbox.x0, axes.bbox.y0, axes.bbox.x1, axes.bbox.y1]])
    for mark in (mark for mark in marks if mark.text):
        places_P4 = _places(axes, mark, figure.dpi)
        area_P = (places_P4[:, 2] - places_P4[:, 0]) * (places_P4[:, 3] - places_P4[:, 1])
        hidden_P = _shared(places_P4, taken_B4) + _UNREADABLE * _shared(places_P4, labels_B4)
        cost_P = hidden_P + 1000 * (area_P - _shared(places_P4, frame_B4))
        best = int(cost_P.argmin())
        if cost_P[best] <= _CROWDED * area_P[best]:
            _annotate(axes, mark, _OPTIONS[best])
            labels_B4 = np.vstack([labels_B4, places_P4[best]])


def _places(axes: Axes, mark: Mark, dpi: float) -> Boxes:
    """Return where the label of a mark could be, a box in pixels for each option, [P, 4]."""
    made = _annotate(axes, mark, _OPTIONS[0])
    extent = made.get_window_extent()
    made.remove()
    x, y = axes.transData.transform((mark.x, mark.y))
    lows = [
        (
            x + dx * dpi / 72 - _BEFORE[across] * extent.width,
            y + dy * dpi / 72 - _BEFORE[up] * extent.height,
        )
        for dx, dy, across, up in _OPTIONS
    ]
    return np.array([(left, low, left + extent.width, low + extent.height) for left, low in lows])


def _annotate(axes: Axes, mark: Mark, option: tuple[float, float, str, str]) -> Annotation:
    dx, dy, across, up = option
    return axes.annotate(
        mark.text, (mark.x, mark.y), (dx, dy), textcoords="offset points", ha=across, va=up,
        color=mark.colour, fontsize=9,
    )  # fmt: skip


def _boxes(axes: Axes, mark: Mark, dpi: float) -> list[tuple[float, ...]]:
    """Return what a mark covers, in pixels: its marker and its interval."""
    half, thin = 5 * dpi / 72, 2 * dpi / 72
    x, y = (float(v) for v in axes.transData.transform((mark.x, mark.y)))
    boxes: list[tuple[float, ...]] = [(x - half, y - half, x + half, y + half)]
    if mark.low is not None and mark.high is not None:
        low, high = (float(axes.transData.transform((mark.x, v))[1]) for v in (mark.low, mark.high))
        boxes.append((x - thin, low, x + thin, high))
    return boxes


def _shared(boxes_P4: Boxes, others_B4: Boxes) -> npt.NDArray[np.float64]:
    """Return the area that each box shares with all others together, [P]."""
    low_PB2 = np.maximum(boxes_P4[:, None, :2], others_B4[None, :, :2])
    high_PB2 = np.minimum(boxes_P4[:, None, 2:], others_B4[None, :, 2:])
    shared_P: npt.NDArray[np.float64] = np.maximum(high_PB2 - low_PB2, 0).prod(2).sum(1)
    return shared_P
