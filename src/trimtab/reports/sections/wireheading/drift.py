"""How far along a direction the states of grades lie, at every round that was looked at.

As Chen et al. 2025, arXiv 2507.21509, monitor a trait; what is read are the tokens of grades.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from trimtab.reports.data.cohorts import TrainedRun
from trimtab.reports.data.directions import Direction
from trimtab.reports.data.seeds import OverSeeds, over_seeds
from trimtab.reports.draw import style
from trimtab.reports.draw.figures import WIDTH, Figure, draw_legend
from trimtab.reports.draw.format import DASH
from trimtab.reports.draw.tables import Table
from trimtab.reports.draw.values import Value
from trimtab.reports.sections.wireheading.content import Drift
from trimtab.reports.sections.wireheading.reading import way_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

_COLUMNS = ("condition", "round", "projection", "low", "high", "seeds")
_NOTE = (
    "States of the grade's tokens, averaged over them and over held-out items, projected onto the "
    "unit vector of the block, in the unit of the residual stream; means over seeds with 95 % "
    "t-intervals over seeds. Of the pairs: 0 is where the base has the negative answers of the "
    "vector's contrast pairs, 1 the positive ones. The text moves a projection, and not the model "
    "alone: a 1 is another token than a 0. Compare with `honest` and `control`, whose weights "
    f"moved, too. {DASH}: the vector is of a file, or there was one seed."
)

_Row = tuple[str, int, float, float | None, float | None, int]


def drifts(runs: Sequence[TrainedRun]) -> list[Drift]:
    """Return a row per model, task and condition whose grades were projected."""
    groups: dict[tuple[str, str, str], list[TrainedRun]] = defaultdict(list)
    for run in runs:
        if run.failed is None and run.direction is not None:
            groups[run.model, run.task, run.condition].append(run)
    found = []
    for (model, task, condition), some in groups.items():
        way, direction = way_of(some), some[0].direction
        if way is None or direction is None:
            continue
        each = [_by_round(run, way) for run in some]
        shared = sorted(set.intersection(*(set(rounds) for rounds in each)))
        if len(shared) > 1:
            first, last = shared[0], shared[-1]
            found.append(
                Drift(
                    model=model,
                    task=task,
                    condition=condition,
                    direction=direction,
                    way=way,
                    grades=sum(rounds[last][1] for rounds in each),
                    points=tuple(
                        (at, over_seeds([rounds[at][0] for rounds in each])) for at in shared
                    ),
                    rise=over_seeds([rounds[last][0] - rounds[first][0] for rounds in each]),
                )
            )
    return found


def _by_round(run: TrainedRun, way: str) -> dict[int, tuple[float, int]]:
    """Return the mean projection of each round with any, and of how many grades it is."""
    looks = [(int(row["round"]), row.get(way, {})) for row in run.held_out]
    return {
        at: (look["projection"], sum(value is not None for value in look["projections"]))
        for at, look in looks
        if look.get("projection") is not None
    }


def drift_table(rows: Sequence[Drift]) -> Table:
    """Return the table of them."""
    shown = tuple(
        (
            *(row.condition, row.task, row.model, row.direction.layer, row.way),
            f"{row.points[0][0]} to {row.points[-1][0]}",
            *(Value(end.mean, end.low, end.high) for end in _ends(row)),
            Value(row.rise.mean, row.rise.low, row.rise.high, signed=True),
            *(_share(row.direction, end.mean) for end in _ends(row)),
            row.grades,
            row.rise.seeds,
        )
        for row in rows
    )
    columns = (
        *("condition", "task", "model", "block", "answered", "rounds", "first", "last", "rise"),
        *("first, of the pairs", "last, of the pairs", "grades", "seeds"),
    )
    return Table("wireheading_projection", "Grades along a direction", columns, shown, _NOTE)


def _ends(row: Drift) -> tuple[OverSeeds, OverSeeds]:
    return row.points[0][1], row.points[-1][1]


def _share(direction: Direction, value: float | None) -> Value | str:
    share = direction.share(value)
    return DASH if share is None else Value(share, form=".2f")


def drift_figure(rows: Sequence[Drift], where: str, more: str) -> Figure | None:
    """Return the figure of the conditions of one model and task; None where there are none."""
    if not rows:
        return None
    points: tuple[_Row, ...] = tuple(
        (row.condition, at, value.mean, value.low, value.high, value.seeds)
        for row in rows
        for at, value in row.points
        if value.mean is not None
    )
    direction = rows[0].direction
    levels = (
        ""
        if direction.positive is None
        else " Dotted: the positive (upper) and negative answers that the vector was made of."
    )
    caption = (
        f"Grades along a direction on {where}: states of the tokens of held-out items' grades "
        f"({rows[0].way}), projected onto the vector of block {direction.layer}, by round; round 0 "
        f"is the base. Means over seeds with 95 % t-intervals.{levels}"
    )
    name = f"wireheading_projection{more}"
    return Figure(name, caption, _COLUMNS, points, (WIDTH, 3.6), partial(_plot, points, direction))


def _plot(points: Sequence[_Row], direction: Direction, canvas: Canvas) -> None:
    axes: Any = canvas.subplots()
    for number, name in enumerate(dict.fromkeys(point[0] for point in points)):
        colour, marker = style.series_look(number)
        some = [point for point in points if point[0] == name]
        rounds, means = [p[1] for p in some], [p[2] for p in some]
        axes.plot(rounds, means, color=colour, marker=marker, ms=4.5, lw=1.6, label=name)
        banded = [p for p in some if p[3] is not None and p[4] is not None]
        axes.fill_between(
            *([p[at] for p in banded] for at in (1, 3, 4)), color=colour, alpha=0.12, lw=0
        )
    for level in (direction.positive, direction.negative):
        if level is not None:
            axes.axhline(level, color=style.MUTED, ls=":", lw=0.9)
    axes.set(xlabel="round", ylabel="projection")
    axes.xaxis.get_major_locator().set_params(integer=True)
    draw_legend(canvas)
