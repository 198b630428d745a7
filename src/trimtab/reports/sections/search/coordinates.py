"""The settings of each trial side by side, and what came of them: parallel coordinates."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from trimtab.reports.draw import style
from trimtab.reports.draw.figures import WIDTH, Figure
from trimtab.reports.draw.format import MINUS
from trimtab.reports.sections.search.content import SearchContent, TrialNumbers
from trimtab.reports.sections.search.tables import axis_name, setting, shown
from trimtab.search.space import METHOD, SIGN

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

Scale = tuple[str, ...] | tuple[float, float]
"""What an axis goes through: words, or from its lowest to its highest number."""

_LEAST = 2
_COLOURS = "viridis"
_LONGEST_WORD = 12
_ROOM_IN = 2.3


def coordinates_figure(content: SearchContent) -> list[Figure]:
    """Return a panel for each method of which two settings or more vary; [] where none is."""
    panels = {method: names for method, names in _panels(content).items() if len(names) >= _LEAST}
    if not panels:
        return []
    rows = tuple(
        (method, trial.number, trial.state, name, setting(trial, name), shown(trial, content))
        for method, names in panels.items()
        for trial in _of(content, method)
        for name in names
    )
    caption = (
        "Each line is a trial: its settings, and on the right the objective on the select problems "
        "that it answered, which also gives the colour. Each axis goes from the lowest to the "
        "highest that was tried. Thin dashed lines: pruned."
    )
    columns = ("method", "trial", "state", "setting", "setting_value", "value")
    size = (WIDTH, 0.5 + _ROOM_IN * len(panels))
    plot = partial(_plot, content, panels)
    return [Figure("search_coordinates", caption, columns, rows, size, plot)]


def _of(content: SearchContent, method: str) -> list[TrialNumbers]:
    return [
        trial
        for trial in content.trials
        if trial.number > 1 and trial.method == method and trial.select.mean is not None
    ]


def _panels(content: SearchContent) -> dict[str, list[str]]:
    """Return the settings of each method that vary among its trials."""
    found = {}
    for method in dict.fromkeys(trial.method for trial in content.trials if trial.number > 1):
        trials = _of(content, method)
        names = dict.fromkeys(name for trial in trials for name in trial.params)
        found[method] = [
            name
            for name in names
            if name != METHOD
            and not name.endswith(SIGN)
            and len({setting(trial, name) for trial in trials}) > 1
        ]
    return found


def _plot(content: SearchContent, panels: dict[str, list[str]], canvas: Canvas) -> None:
    from matplotlib import colormaps
    from matplotlib.colors import Normalize

    values = [shown(trial, content) for method in panels for trial in _of(content, method)]
    norm = Normalize(min(values), max(values) if max(values) > min(values) else min(values) + 1)
    colours = colormaps[_COLOURS]
    every = canvas.subplots(len(panels), 1, squeeze=False)[:, 0]
    for axes, (method, names) in zip(every, panels.items(), strict=True):
        trials = _of(content, method)
        scales = [_scale([setting(trial, name) for trial in trials]) for name in names]
        scales.append((min(values), max(values)))
        for trial in sorted(trials, key=lambda t: shown(t, content), reverse=not content.high):
            chosen = [*(setting(trial, name) for name in names), shown(trial, content)]
            pruned = trial.state != "complete"
            axes.plot(
                range(len(chosen)),
                [_place(value, scale) for value, scale in zip(chosen, scales, strict=True)],
                color=colours(norm(shown(trial, content))),
                lw=0.8 if pruned else 1.6,
                ls="--" if pruned else "-",
                alpha=0.6 if pruned else 0.9,
            )
        titles = [name.removeprefix(f"{method}.") for name in names]
        _axes(axes, method, [*titles, axis_name(content)], scales)


def _axes(axes: Axes, title: str, names: Sequence[str], scales: Sequence[Scale]) -> None:
    """Draw an upright line for each setting, with what stands at its ends."""
    axes.set_title(title)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.set_xticks(range(len(names)), names)
    axes.tick_params(axis="x", length=0, pad=12, labelcolor=style.INK)
    axes.set_yticks([])
    axes.set_xlim(-0.35, len(names) - 0.55)
    axes.set_ylim(-0.08, 1.08)
    for x, scale in enumerate(scales):
        axes.axvline(x, color=style.MUTED, lw=0.8, zorder=0)
        for value in scale if isinstance(scale[0], str) else dict.fromkeys(scale):
            axes.annotate(
                _written(value),
                (x, _place(value, scale)),
                xytext=(4, 0),
                textcoords="offset points",
                va="center",
                fontsize=8,
                color=style.MUTED,
                bbox={"facecolor": style.PAPER, "alpha": 0.75, "edgecolor": "none", "pad": 0.6},
            )


def _scale(values: Sequence[float | str | None]) -> Scale:
    words = sorted({value for value in values if isinstance(value, str)})
    if words:
        return tuple(words)
    numbers = [value for value in values if isinstance(value, int | float)]
    return (min(numbers), max(numbers))


def _place(value: float | str | None, scale: Scale) -> float:
    """Return where on its axis a value is, from 0 (below) to 1."""
    if isinstance(value, str):
        return 0.5 if len(scale) < 2 else [*scale].index(value) / (len(scale) - 1)
    low, high = float(scale[0]), float(scale[-1])
    assert value is not None
    return 0.5 if high <= low else (value - low) / (high - low)


def _written(value: float | str) -> str:
    if isinstance(value, str):
        return value.strip('"')[:_LONGEST_WORD]
    return f"{value:.3g}".replace("-", MINUS)
