"""Figures of scores: of right and wrong candidates, against length, and as a probability."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from trimtab.reports.data.statistics import is_few
from trimtab.reports.draw import style
from trimtab.reports.draw.figures import WIDTH, Figure, grid_of, label_edges, mark_of, note_of
from trimtab.reports.draw.format import RHO, with_interval
from trimtab.reports.sections.selection.content import (
    Calibration,
    Histogram,
    RankingNumbers,
    SetNumbers,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

_RIGHT, _WRONG = style.SERIES[0], style.PROMPT
_COLOURS = (*style.SERIES, style.PROMPT)
_KINDS = ("pooled", "problem-centred")
_Calibrated = Sequence[tuple[str, Calibration]]


def score_figures(candidates: SetNumbers) -> list[Figure]:
    """Return histograms, length and calibration of the rankings that have them."""
    scored = [ranking for ranking in candidates.rankings if ranking.histograms]
    calibrated = [(r.ranking, r.calibration) for r in scored if r.calibration is not None]
    figures = [_histograms(scored), _length(scored)] if scored else []
    return [*figures, _reliability(calibrated)] if calibrated else figures


def _histograms(rankings: Sequence[RankingNumbers]) -> Figure:
    caption = (
        "Scores of right and wrong candidates, as they are, and around the mean of their problem "
        "for problems that have both: what is left on the right is what can choose."
    )
    rows = tuple(
        (ranking.ranking, kind, left, right, wrong)
        for ranking in rankings
        for kind in _KINDS
        if (bins := (ranking.histograms or {}).get(kind)) is not None
        for left, right, wrong in zip(bins.edges, bins.right, bins.wrong, strict=False)
    )
    columns = ("ranking", "kind", "from", "right", "wrong")
    size = (WIDTH, 0.7 + 2.3 * len(rankings))
    return Figure("energies", caption, columns, rows, size, partial(_plot_histograms, rankings))


def _plot_histograms(rankings: Sequence[RankingNumbers], canvas: Canvas) -> None:
    panels = canvas.subplots(len(rankings), 2, squeeze=False)
    for line, ranking in zip(panels, rankings, strict=True):
        for axes, kind in zip(line, _KINDS, strict=True):
            axes.set_title(f"{ranking.ranking}, {kind}")
            if (bins := (ranking.histograms or {}).get(kind)) is not None:
                _steps(axes, bins)
    handles, names = panels[0][0].get_legend_handles_labels()
    canvas.legend(handles, names, loc="outside lower center", ncols=2)


def _steps(axes: Axes, bins: Histogram) -> None:
    for name, counts, colour in (("right", bins.right, _RIGHT), ("wrong", bins.wrong, _WRONG)):
        total = max(1, sum(counts))
        heights = [count / total for count in counts]
        axes.stairs(heights, list(bins.edges), color=colour, fill=True, alpha=0.25)
        axes.stairs(heights, list(bins.edges), color=colour, lw=1.5, label=name)
    axes.set_ylabel("share")


def _length(rankings: Sequence[RankingNumbers]) -> Figure:
    rows = tuple((ranking.ranking, *point) for ranking in rankings for point in ranking.points)
    caption = (
        f"Score against length: a ranking that follows length has learned length. {RHO}: "
        "Spearman's correlation of characters with the score, turned where higher is better, and "
        "its 95 % interval over problems."
    )
    return Figure(
        "length",
        caption + note_of(any(map(_is_few, rankings))),
        ("ranking", "characters", "score", "right"),
        rows,
        (WIDTH, 0.6 + 3.2 * grid_of(len(rankings))[0]),
        partial(_plot_length, rankings),
    )


def _plot_length(rankings: Sequence[RankingNumbers], canvas: Canvas) -> None:
    panels = canvas.subplots(*grid_of(len(rankings)), squeeze=False)
    for axes, ranking in zip(panels.flat, rankings, strict=False):
        for right, colour, name in ((1.0, _RIGHT, "right"), (0.0, _WRONG, "wrong")):
            points = [p for p in ranking.points if p[2] == right]
            axes.plot(
                [p[0] for p in points], [p[1] for p in points], ls="none", marker="o", ms=3,
                color=colour, alpha=0.5, mec="none", label=name,
            )  # fmt: skip
        axes.set_title(f"{ranking.ranking}\n{_correlation(ranking)}" + mark_of(_is_few(ranking)))
    label_edges(panels, len(rankings), "characters", "score")
    handles, names = panels[0][0].get_legend_handles_labels()
    canvas.legend(handles, names, loc="outside lower center", ncols=2)


def _is_few(ranking: RankingNumbers) -> bool:
    return ranking.length_interval is not None and is_few(ranking.clusters)


def _correlation(ranking: RankingNumbers) -> str:
    rho = with_interval(ranking.length_correlation, ranking.length_interval, "number", sign=True)
    return f"{RHO} = {rho}"


def _reliability(rankings: _Calibrated) -> Figure:
    rows = tuple(
        (name, b.n, b.predicted, b.right)
        for name, calibration in rankings
        for b in calibration.bins
    )
    return Figure(
        "reliability",
        "Share of right candidates against sigmoid(-energy), ten bins of equal size.",
        ("ranking", "n", "predicted", "right"),
        rows,
        (WIDTH / 2, 4.0),
        partial(_plot_reliability, rankings),
    )


def _plot_reliability(rankings: _Calibrated, canvas: Canvas) -> None:
    axes = canvas.subplots()
    axes.plot([0, 1], [0, 1], color=style.BASELINE, lw=1.0, ls="--", label="calibrated")
    for index, (name, calibration) in enumerate(rankings):
        bins = calibration.bins
        axes.plot(
            [b.predicted for b in bins], [b.right for b in bins],
            color=_COLOURS[index % len(_COLOURS)], lw=1.5, ms=5,
            marker=style.MARKERS[index % len(style.MARKERS)], label=name,
        )  # fmt: skip
    axes.set_xlabel("sigmoid(-energy)")
    axes.set_ylabel("share right")
    canvas.legend(loc="outside lower center", ncols=2)
