"""Figures of accuracy: against the number of candidates, and by difficulty."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from trimtab.reports.data.statistics import drawn_clusters, is_few
from trimtab.reports.draw import style
from trimtab.reports.draw.figures import WIDTH, Figure, grid_of, label_edges, mark_of, note_of
from trimtab.reports.sections.selection.content import AccuracyAt, DifficultyBin, SetNumbers
from trimtab.reports.sections.selection.selectors import MAJORITY, ORACLE, RANDOM

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

_COLOURS = (*style.SERIES, style.PROMPT)
_BEST, _VOTE = "best by the ranking", "vote weighted by it"
# Colour, marker and dashes of each kind of choice, in the order of the legend.
_LOOKS = {
    RANDOM: (style.BASELINE, "o", "--"),
    MAJORITY: (style.SERIES[0], "s", "-"),
    ORACLE: (style.CONTROL, "^", "--"),
    "format filter": (style.SERIES[1], "D", "-"),
    "shortest": (style.SERIES[3], "v", "-"),
    "longest": (style.SERIES[4], "o", "-"),
    _BEST: (style.PROMPT, "D", "-"),
    _VOTE: (style.SERIES[2], "v", "-"),
}
_REFERENCES = (RANDOM, MAJORITY, ORACLE)
_PLAIN = (*_REFERENCES, "format filter", "shortest", "longest")
_Panels = Sequence[tuple[str, dict[str, str]]]
"""Title of a panel, and its curves with the look of each."""


def accuracy_figures(candidates: SetNumbers) -> list[Figure]:
    """Return accuracy against the number of candidates, and gains by difficulty."""
    return [_curves(candidates), _difficulty(candidates)]


def _curves(candidates: SetNumbers) -> Figure:
    """Return what needs no model in one panel, and each ranking in one of its own beside it."""
    curves = candidates.curves
    panels = [("without a model", {n: n for n in _PLAIN if n in curves})]
    for ranking, best in zip(candidates.rankings, candidates.selectors_by_ranking, strict=False):
        looks = {best: _BEST, f"vote by {ranking.ranking}": _VOTE}
        panels.append((ranking.ranking, {n: look for n, look in looks.items() if n in curves}))
    caption = (
        "Accuracy against the number of candidates, by exact expectation over subsets; the "
        "oracle's is pass@k. Bands: 95 % intervals over problems; where a ranking is shown, "
        "random, majority and oracle stand beside it without theirs."
        + note_of(any(_is_few(points) for points in curves.values()))
    )
    rows = tuple(
        (name, p.k, p.mean, *(p.interval or ("", ""))) for name, ps in curves.items() for p in ps
    )
    lines, _ = grid_of(len(panels))
    size = (WIDTH, 0.6 + (4.2 if lines == 1 else 2.9) * lines)
    columns = ("selector", "k", "mean", "low", "high")
    return Figure("candidates", caption, columns, rows, size, partial(_plot_curves, curves, panels))


def _plot_curves(
    curves: dict[str, tuple[AccuracyAt, ...]], panels: _Panels, canvas: Canvas
) -> None:
    axes = canvas.subplots(*grid_of(len(panels)), sharex=True, sharey=True, squeeze=False)
    for at, (title, shown) in zip(axes.flat, panels, strict=False):
        for name in _REFERENCES:
            _curve(at, curves[name], name, band=name in shown)
        for name, look in shown.items():
            if name not in _REFERENCES:
                _curve(at, curves[name], look, band=True)
        at.set_title(title + mark_of(any(_is_few(curves[name]) for name in shown)))
    sizes = [point.k for point in curves[RANDOM]]
    axes[0][0].set_xscale("log", base=2)
    axes[0][0].set_xticks(sizes, [str(k) for k in sizes])
    axes[0][0].minorticks_off()
    label_edges(axes, len(panels), "candidates", "correct (%)")
    handles = {h.get_label(): h for at in axes.flat for h in at.get_lines()}
    canvas.legend(handles=[handles[n] for n in _LOOKS if n in handles],
                  loc="outside lower center", ncols=4)  # fmt: skip


def _is_few(points: Sequence[AccuracyAt]) -> bool:
    return any(p.interval is not None and is_few(drawn_clusters(p)) for p in points)


def _curve(axes: Axes, points: Sequence[AccuracyAt], look: str, *, band: bool) -> None:
    colour, marker, dashes = _LOOKS[look]
    known = [(p.k, p.mean, p.interval or (p.mean, p.mean)) for p in points if p.mean is not None]
    x = [k for k, _, _ in known]
    if band:
        low, high = [100 * e[0] for _, _, e in known], [100 * e[1] for _, _, e in known]
        axes.fill_between(x, low, high, color=colour, alpha=0.12, lw=0)
    y = [100 * mean for _, mean, _ in known]
    axes.plot(x, y, color=colour, marker=marker, ms=4, lw=1.5, ls=dashes, label=look)


def _difficulty(candidates: SetNumbers) -> Figure:
    shown = (MAJORITY, *candidates.selectors_by_ranking)
    bins = [b for b in candidates.difficulty if b.bin not in ("none right", "all right")]
    rows = tuple(
        (b.bin, b.problems, name, gain)
        for b in candidates.difficulty
        for name, gain in b.gain.items()
    )
    return Figure(
        "difficulty",
        "Gain over a random choice by how many of a problem's candidates are right.",
        ("share right", "problems", "selector", "gain over random"),
        rows,
        (WIDTH, 3.6),
        partial(_plot_difficulty, bins, shown) if bins else None,
    )


def _plot_difficulty(bins: Sequence[DifficultyBin], shown: Sequence[str], canvas: Canvas) -> None:
    width = 0.8 / len(shown)
    axes = canvas.subplots()
    axes.axhline(0, color=style.BASELINE, lw=1.0)
    for index, name in enumerate(shown):
        at = [i + (index - (len(shown) - 1) / 2) * width for i in range(len(bins))]
        heights = [100 * b.gain.get(name, 0.0) for b in bins]
        axes.bar(at, heights, width * 0.9, color=_COLOURS[index % len(_COLOURS)], label=name)
    axes.set_xticks(range(len(bins)), [f"{b.bin}\nn = {b.problems}" for b in bins])
    axes.set_xlabel("right candidates of a problem")
    axes.set_ylabel("gain over random (points)")
    canvas.legend(loc="outside lower center", ncols=4)
