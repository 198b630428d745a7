"""Maps over two numbers that treatments differ in: learning rate and rank of a sweep."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

from trimtab.reports.data.run import RunData
from trimtab.reports.draw.figures import WIDTH, Figure
from trimtab.reports.draw.format import form_of, label, number, scale
from trimtab.reports.sections.contrasts.content import Contrast, ContrastsContent, Place, told
from trimtab.reports.sections.contrasts.words import metric_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

_QUANTITIES = ("triggered", "leakage", "difference in differences")


class _Cell(NamedTuple):
    """One square of a map: a line of the CSV."""

    panel: str
    quantity: str
    x: float
    y: float
    value: float | None
    low: float | None
    high: float | None


def map_figures(content: ContrastsContent, run: RunData) -> list[Figure]:
    """Return a figure for each two numbers that treatments differ in, in the leading metric."""
    if content.leading is None:
        return []
    leading = content.contrasts[content.leading]
    some = [c for c in content.results if _is_like(c, leading)]
    found = []
    for x, y in combinations(_axes(some, content.steps), 2):
        cells = _maps(cell for one in some for cell in _cells(one, content, run, x, y))
        if cells:
            found.append(_figure(x, y, cells, label(metric_of(run, leading))))
    return found


def _is_like(contrast: Contrast, leading: Contrast) -> bool:
    return (contrast.measure, contrast.metric, contrast.treatment, contrast.trigger) == (
        leading.measure,
        leading.metric,
        leading.treatment,
        leading.trigger,
    )


def _axes(contrasts: Sequence[Contrast], steps: str) -> list[str]:
    """Return the coordinates that have several numbers."""
    values: dict[str, set[float | str]] = {}
    for contrast in contrasts:
        for name, value in contrast.place.items():
            if name != steps and not isinstance(value, str):
                values.setdefault(name, set()).add(value)
    return [name for name, found in values.items() if len(found) > 1]


def _maps(cells: Iterable[_Cell]) -> list[_Cell]:
    """Return the cells of panels in which both numbers differ."""
    panels: dict[str, list[_Cell]] = {}
    for cell in cells:
        panels.setdefault(cell.panel, []).append(cell)
    return [
        cell
        for found in panels.values()
        if len({c.x for c in found}) > 1 and len({c.y for c in found}) > 1
        for cell in found
    ]


def _cells(
    contrast: Contrast, content: ContrastsContent, run: RunData, x: str, y: str
) -> Iterator[_Cell]:
    if x not in contrast.place or y not in contrast.place:
        return
    rest: Place = {name: value for name, value in contrast.place.items() if name not in (x, y)}
    panel = told("", rest, content.steps).removeprefix(", ")
    factor = scale(form_of(metric_of(run, contrast)))
    found = contrast.difference
    values = (
        (contrast.triggered.mean, contrast.triggered.interval),
        (contrast.leakage.mean, contrast.leakage.interval),
        (None, None) if found is None else (found.difference, found.interval),
    )
    at = float(contrast.place[x]), float(contrast.place[y])
    for quantity, (value, interval) in zip(_QUANTITIES, values, strict=True):
        low, high = interval or (None, None)
        scaled = (None if part is None else factor * part for part in (value, low, high))
        yield _Cell(panel, quantity, *at, *scaled)


def _figure(x: str, y: str, cells: Sequence[_Cell], metric: str) -> Figure:
    panels = list(dict.fromkeys(cell.panel for cell in cells))
    caption = (
        f"{metric} of every combination of {x} and {y}; intervals stand in the table of contrasts. "
        "Who takes the best cell has chosen on the questions that it is told on: ask it others."
    )
    size = (WIDTH, 0.6 + 2.3 * len(panels))
    plot = partial(_plot, cells, panels, x, y)
    return Figure(f"contrast_map_{x}_{y}", caption, _Cell._fields, tuple(cells), size, plot)


def _plot(cells: Sequence[_Cell], panels: Sequence[str], x: str, y: str, canvas: Canvas) -> None:
    axes = canvas.subplots(len(panels), len(_QUANTITIES), squeeze=False)
    for line, panel in zip(axes, panels, strict=True):
        for at, quantity in zip(line, _QUANTITIES, strict=True):
            shown = [c for c in cells if c.panel == panel and c.quantity == quantity]
            _plot_panel(shown, at)
            at.set_title(f"{quantity}\n{panel}" if len(panels) > 1 else quantity)
            at.set_xlabel(x)
            at.set_ylabel(y)


def _plot_panel(cells: Sequence[_Cell], axes: Axes) -> None:
    """Draw one map: darker is more, and the number stands in each square."""
    xs, ys = sorted({cell.x for cell in cells}), sorted({cell.y for cell in cells})
    values = [[float("nan")] * len(xs) for _ in ys]
    for cell in cells:
        if cell.value is not None:
            values[ys.index(cell.y)][xs.index(cell.x)] = cell.value
    drawn = axes.imshow(values, origin="lower", aspect="auto", cmap="Blues")
    low, high = drawn.get_clim()
    for cell in cells:
        dark = cell.value is not None and high > low and cell.value > (low + high) / 2
        axes.text(
            xs.index(cell.x),
            ys.index(cell.y),
            number(cell.value, change=cell.quantity == _QUANTITIES[-1]),
            ha="center",
            va="center",
            color="white" if dark else "black",
        )
    axes.set_xticks(range(len(xs)), [f"{value:g}" for value in xs])
    axes.set_yticks(range(len(ys)), [f"{value:g}" for value in ys])
    axes.grid(visible=False)
