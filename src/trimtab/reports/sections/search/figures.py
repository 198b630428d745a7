"""Figures of a search: its history, each setting against the objective, and what matters."""

from __future__ import annotations

from functools import partial
from itertools import accumulate
from typing import TYPE_CHECKING

from trimtab.reports.draw import style
from trimtab.reports.draw.figures import WIDTH, Figure, draw_legend, grid_of, label_edges
from trimtab.reports.sections.search.content import SearchContent, TrialNumbers
from trimtab.reports.sections.search.tables import axis_name, setting, shown
from trimtab.search.space import METHOD, SIGN
from trimtab.search.trials import PROMPT

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

_BARRED = "beyond a constraint"
_STATES = {
    "complete": ("o", 1.0),
    _BARRED: ("D", 0.35),
    "pruned": ("v", 0.55),
    "failed": ("x", 1.0),
    "running": (".", 1),
}


def history_figure(content: SearchContent) -> list[Figure]:
    """Return the objective of each trial in order; [] where none has a value."""
    rows = [
        (trial.number, trial.method, _outcome(trial), shown(trial, content), trial.rungs)
        for trial in content.trials
        if trial.select.mean is not None
    ]
    if not any(number > 1 for number, *_ in rows):
        return []
    caption = (
        "The objective of each trial, on the select problems that it answered (pruned trials "
        "answered fewer). Line: the best complete trial so far that keeps to the constraints. "
        "Dashed: the baseline; dotted: the prompt."
    )
    columns = ("trial", "method", "state", "value", "rungs")
    plot = partial(_plot_history, content, rows)
    return [Figure("search_history", caption, columns, tuple(rows), (WIDTH, 3.6), plot)]


def _outcome(trial: TrialNumbers) -> str:
    """Return a trial's state; one that is beyond a constraint could not win."""
    own = trial.number <= PROMPT
    barred = trial.state == "complete" and not trial.feasible and not own
    return _BARRED if barred else trial.state


def slice_figure(content: SearchContent) -> list[Figure]:
    """Return the objective against each setting that varies; [] where none does."""
    trials = [t for t in content.trials if t.number > 1 and t.select.mean is not None]
    found = dict.fromkeys(name for trial in trials for name in trial.params)
    names = [
        name
        for name in sorted(found, key=lambda name: (name != METHOD, name))
        if not name.endswith(SIGN) and len({str(setting(t, name)) for t in trials} - {"None"}) > 1
    ]
    if not names:
        return []
    rows = tuple(
        (
            name,
            trial.number,
            trial.method,
            trial.state,
            setting(trial, name),
            shown(trial, content),
        )
        for name in names
        for trial in trials
        if name in trial.params
    )
    caption = (
        "The objective of each trial against each of its settings; faint triangles: pruned. "
        "Dashed: the baseline."
    )
    columns = ("setting", "trial", "method", "state", "setting_value", "value")
    lines, _ = grid_of(len(names))
    plot = partial(_plot_slices, content, names, trials)
    return [Figure("search_slices", caption, columns, rows, (WIDTH, 0.6 + 2.4 * lines), plot)]


def importance_figure(content: SearchContent) -> list[Figure]:
    """Return the importance of each setting; [] where it is not known."""
    if not content.importance:
        return []
    caption = (
        "Which settings the objective depends on among complete trials of the method that has most "
        "of them (PED-ANOVA). Few trials say little here."
    )
    rows = tuple(content.importance.items())
    size = (WIDTH, 0.9 + 0.32 * len(rows))
    return [
        Figure(
            "search_importance",
            caption,
            ("setting", "importance"),
            rows,
            size,
            partial(_plot_importance, rows),
        )
    ]


def _plot_history(
    content: SearchContent, rows: list[tuple[int, str, str, float, int]], canvas: Canvas
) -> None:
    axes = canvas.subplots()
    methods = list(dict.fromkeys(method for number, method, *_ in rows if number > 1))
    for index, method in enumerate(methods):
        colour, _ = style.series_look(index)
        for state, (marker, alpha) in _STATES.items():
            points = [r for r in rows if r[0] > 1 and r[1] == method and r[2] == state]
            if points:
                axes.scatter(
                    [r[0] for r in points],
                    [r[3] for r in points],
                    color=colour,
                    marker=marker,
                    alpha=alpha,
                    s=26,
                    label=method if state == "complete" else f"{method}, {state}",
                )
    complete = [r for r in rows if r[0] > 1 and r[2] == "complete"]
    if complete:
        better = max if content.high else min
        best = list(accumulate((r[3] for r in complete), better))
        xs = [r[0] for r in complete]
        axes.step(xs, best, where="post", color=style.INK, lw=1.2, label="best so far")
    for number, line in ((0, "--"), (1, ":")):
        for row in (r for r in rows if r[0] == number):
            axes.axhline(row[3], color=style.MUTED, lw=1.2, ls=line, label=row[1], zorder=0)
    axes.set_xlabel("trial")
    axes.set_ylabel(axis_name(content))
    draw_legend(canvas)


def _plot_slices(
    content: SearchContent, names: list[str], trials: list[TrialNumbers], canvas: Canvas
) -> None:
    from matplotlib.ticker import MaxNLocator

    methods = list(dict.fromkeys(trial.method for trial in trials))
    lines, columns = grid_of(len(names))
    panels = canvas.subplots(lines, columns, squeeze=False, sharey=True)
    for axes, name in zip(panels.flat, names, strict=False):
        some = [trial for trial in trials if name in trial.params]
        values = [setting(trial, name) for trial in some]
        words = sorted({value for value in values if isinstance(value, str)})
        for trial in some:
            value = setting(trial, name)
            assert value is not None
            x = float(words.index(value)) if isinstance(value, str) else float(value)
            marker, alpha = _STATES[trial.state]
            colour, _ = style.series_look(methods.index(trial.method))
            axes.scatter(
                [x], [shown(trial, content)], color=colour, marker=marker, alpha=alpha, s=22
            )
        for own in (t for t in content.trials if t.number == 0 and t.select.mean is not None):
            axes.axhline(shown(own, content), color=style.MUTED, lw=1.0, ls="--", zorder=0)
        if words:
            axes.set_xticks(range(len(words)), [word.strip('"')[:18] for word in words])
            axes.set_xlim(-0.5, len(words) - 0.5)
        else:
            axes.xaxis.set_major_locator(MaxNLocator(5, integer=all(map(_is_whole, values))))
        axes.set_title(name)
    label_edges(panels, len(names), "", axis_name(content))


def _is_whole(value: float | str | None) -> bool:
    return isinstance(value, int | float) and float(value).is_integer()


def _plot_importance(rows: tuple[tuple[str, float], ...], canvas: Canvas) -> None:
    axes = canvas.subplots()
    names = [name for name, _ in reversed(rows)]
    axes.barh(names, [value for _, value in reversed(rows)], color=style.SERIES[0], height=0.6)
    axes.set_xlabel("share of importance")
