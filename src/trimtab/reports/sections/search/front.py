"""Both objectives of a search against each other, and the Pareto front."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Literal

from trimtab.reports.draw import style
from trimtab.reports.draw.figures import WIDTH, Figure, draw_legend
from trimtab.reports.sections.search.content import SearchContent, TrialNumbers
from trimtab.reports.sections.search.tables import axis_name, shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas


def front_figure(content: SearchContent) -> list[Figure]:
    """Return the front; [] for a search with one objective, or before any trial is complete."""
    name = content.second
    trials = [
        trial
        for trial in content.trials
        if trial.state == "complete" and trial.select.mean is not None and name in trial.means
    ]
    if name is None or not content.front:
        return []
    rows = tuple(
        (
            trial.number,
            trial.method,
            shown(trial, content),
            trial.means[name],
            trial.number in content.front,
            _is_confirmed(trial, content),
        )
        for trial in trials
    )
    caption = (
        f"The objective and {name} of each complete trial, on the select problems. Of the trials "
        "on the line (the Pareto front) none is better in both; those with a ring were compared "
        "again on confirm problems. Empty symbols: baseline and prompt."
    )
    columns = ("trial", "method", "value", "second", "on_front", "confirmed")
    plot = partial(_plot, content, trials, name)
    return [Figure("search_front", caption, columns, rows, (WIDTH, 4.2), plot)]


def _is_confirmed(trial: TrialNumbers, content: SearchContent) -> bool:
    return trial.number > 1 and any(item.number == trial.number for item in content.confirmed)


def _plot(content: SearchContent, trials: list[TrialNumbers], name: str, canvas: Canvas) -> None:
    axes = canvas.subplots()
    point = {trial.number: (shown(trial, content), trial.means[name]) for trial in trials}
    markers: tuple[Literal["o", "s"], ...] = ("o", "s")
    for own, marker in enumerate(markers):
        for trial in (t for t in trials if t.number == own):
            _open_symbols(axes, [point[own]], style.MUTED, 46, trial.method, marker)
    methods = list(dict.fromkeys(trial.method for trial in trials if trial.number > 1))
    for index, method in enumerate(methods):
        colour, symbol = style.series_look(index)
        some = [point[t.number] for t in trials if t.number > 1 and t.method == method]
        xs, ys = zip(*some, strict=True)
        axes.scatter(xs, ys, color=colour, marker=symbol, s=28, label=method)
    front = sorted(point[number] for number in content.front)
    axes.plot(*zip(*front, strict=True), color=style.INK, lw=1.2, label="Pareto front", zorder=1)
    again = [point[trial.number] for trial in trials if _is_confirmed(trial, content)]
    if again:
        _open_symbols(axes, again, style.INK, 110, "compared again", "o")
    axes.set_xlabel(f"{axis_name(content)} ({'more' if content.high else 'less'} is better)")
    axes.set_ylabel(f"{name} ({'more' if content.second_high else 'less'} is better)")
    draw_legend(canvas)


def _open_symbols(
    axes: Axes,
    points: Sequence[tuple[float, float]],
    colour: str,
    size: float,
    label: str,
    marker: Literal["o", "s"],
) -> None:
    xs, ys = zip(*points, strict=True)
    axes.scatter(
        xs, ys, facecolors="none", edgecolors=colour, s=size, marker=marker, label=label, lw=1.2
    )
