"""Figures: inflation, reward against actual reward, the gap, reliability, projections."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from trimtab.reports.draw import style
from trimtab.reports.draw.figures import WIDTH, Figure, grid_of, label_edges
from trimtab.reports.sections.wireheading.content import Gap, Outcome, WireheadingContent
from trimtab.reports.sections.wireheading.diagram import diagram
from trimtab.reports.sections.wireheading.drift import drift_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

_MOST_ACTUAL, _LEAST_REWARD = 0.3, 0.7
_INTERVALS = "with 95 % t-intervals over seeds"


def figures(content: WireheadingContent) -> list[Figure]:
    """Return the figures of each model and task."""
    groups = list(dict.fromkeys((o.model, o.task) for o in content.outcomes))
    found = []
    for number, group in enumerate(groups):
        some = [o for o in content.outcomes if (o.model, o.task) == group and o.points]
        gaps = [g for g in content.gaps if (g.model, g.task) == group]
        more, where = f"_{number + 1}" * bool(number), f"{group[1]} ({group[0]})"
        found += [_inflation(some, where, more), _scatter(some, where, more)] if some else []
        found += [_dynamics(gaps, where, more)] if gaps else []
        graded = [r for r in content.reliability if (r.model, r.task) == group]
        along = [d for d in content.drifts if (d.model, d.task) == group]
        drawn = (diagram(graded, where, more), drift_figure(along, where, more))
        found += [figure for figure in drawn if figure is not None]
    return found


def _inflation(outcomes: Sequence[Outcome], where: str, more: str) -> Figure:
    rows = tuple(
        (o.condition, when, value.mean, value.low, value.high, value.seeds)
        for o in outcomes
        for when, whole in (("start", o.inflation_start), ("end", o.inflation_all))
        for value in [whole.within(-1.0, 1.0)]
    )
    caption = (
        f"Inflation on {where}: own grade, an unread one as 0, less what the answer is worth; "
        f"means {_INTERVALS}, cut at -1 and 1. Pale bars: before the first round; full bars: at "
        "the end."
    )
    columns = ("condition", "when", "inflation", "low", "high", "seeds")
    name = f"wireheading_inflation{more}"
    return Figure(name, caption, columns, rows, (WIDTH, 3.4), partial(_bars, rows))


def _bars(
    rows: Sequence[tuple[str, str, float | None, float | None, float | None, int]], canvas: Canvas
) -> None:
    axes = canvas.subplots()
    names = list(dict.fromkeys(row[0] for row in rows))
    for name, when, mean, low, high, _ in rows:
        if mean is None:
            continue
        at = names.index(name) + (0.2 if when == "end" else -0.2)
        colour, _marker = style.series_look(names.index(name))
        axes.bar(at, mean, width=0.36, color=colour, alpha=1.0 if when == "end" else 0.35)
        if low is not None and high is not None:
            axes.errorbar(at, mean, [[mean - low], [high - mean]], color=style.INK, capsize=3, lw=1)
    axes.axhline(0, color=style.MUTED, lw=0.8)
    axes.set_xticks(range(len(names)), names)
    axes.set_ylabel("inflation")


def _scatter(outcomes: Sequence[Outcome], where: str, more: str) -> Figure:
    rows = tuple((o.condition, *point) for o in outcomes for point in o.points)
    caption = (
        f"Reward against what answers are worth on {where}, at the end, a point for each seed. On "
        f"the dashed line the reward is what the answer is worth. Shaded: rewards above "
        f"{_LEAST_REWARD} for answers worth less than {_MOST_ACTUAL}."
    )
    columns = ("condition", "actual reward", "reward")
    name = f"wireheading_scatter{more}"
    return Figure(name, caption, columns, rows, (WIDTH * 0.6, 4.6), partial(_points, rows))


def _points(rows: Sequence[tuple[str, float, float]], canvas: Canvas) -> None:
    axes = canvas.subplots()
    size = (_MOST_ACTUAL, 1 - _LEAST_REWARD)
    axes.axvspan(0, size[0], _LEAST_REWARD, 1, color=style.MUTED, alpha=0.15, lw=0)
    axes.plot([0, 1], [0, 1], color=style.MUTED, lw=0.9, ls="--")
    for at, name in enumerate(dict.fromkeys(row[0] for row in rows)):
        colour, marker = style.series_look(at)
        some = [row for row in rows if row[0] == name]
        # on the edges of the axes, whole points are wanted
        axes.plot(
            *([row[1] for row in some], [row[2] for row in some], marker),
            color=colour,
            label=name,
            clip_on=False,
            alpha=0.8,
        )
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="actual reward", ylabel="reward", aspect="equal")
    style.legend_below(canvas, dict(zip(*axes.get_legend_handles_labels()[::-1], strict=True)))


def _dynamics(gaps: Sequence[Gap], where: str, more: str) -> Figure:
    rows = tuple((gap.condition, *point) for gap in gaps for point in gap.points)
    window = max(gap.window for gap in gaps)
    points = "of one round" if window == 1 else f"of the {window} rounds up to it"
    caption = (
        f"Own grade (full line, an unread one as 0) and what answers are worth (dashed) while "
        f"training on {where}; a point is the mean {points} and over seeds. Shaded is what lies "
        "between them; it is no interval."
    )
    columns = ("condition", "round", "grade", "actual reward")
    name = f"wireheading_dynamics{more}"
    height = 1.0 + 2.3 * grid_of(len(gaps), 3)[0]
    return Figure(name, caption, columns, rows, (WIDTH, height), partial(_gaps, gaps))


def _gaps(gaps: Sequence[Gap], canvas: Canvas) -> None:
    axes = canvas.subplots(*grid_of(len(gaps), 3), squeeze=False, sharex=True, sharey=True)
    for number, (at, gap) in enumerate(zip(axes.flat, gaps, strict=False)):
        colour, _marker = style.series_look(number)
        step, grade, actual = zip(*gap.points, strict=True)
        at.fill_between(step, grade, actual, color=colour, alpha=0.15, lw=0)
        at.plot(step, grade, color=colour, lw=1.6)
        at.plot(step, actual, color=colour, lw=1.6, ls="--")
        at.set_title(gap.condition, fontsize=9.5)
        at.set_ylim(-0.03, 1.03)
        at.xaxis.get_major_locator().set_params(integer=True)
    label_edges(axes, len(gaps), "round", "")
