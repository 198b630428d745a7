"""Whether rewards swing with the order of the items: each round's item comes back once a cycle.

With a fixed order the same items come in the same rounds of every pass, so that their difficulty
looks like a swing of the training. It is looked for at the period that the items set, by an
analysis of variance over the rounds of a cycle, in each run by itself: seeds have orders of their
own.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from trimtab.reports.data.cohorts import TrainedRun, trained_runs
from trimtab.reports.data.content import Content
from trimtab.reports.data.run import RunData
from trimtab.reports.data.seeds import OverSeeds, over_seeds
from trimtab.reports.draw import style
from trimtab.reports.draw.figures import WIDTH, Figure, draw_legend, grid_of, label_edges
from trimtab.reports.draw.tables import Table
from trimtab.reports.draw.values import Count, Value
from trimtab.reports.sections.base import NoConfig, Section, View
from trimtab.stats.cycles import Cycle, cycle, periodogram
from trimtab.stats.paired import holm

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

__all__ = ["Periodogram"]

_NUMBERS = {"reward": "reward", "true": "actual reward"}
_LEVEL = 0.05
_COLUMNS = ("model and task", "number", "condition", "period", "share of variance", "cycle")


class Swing(Content):
    """How far a number of one condition repeats itself with the items.

    Attributes:
        group: Model and task.
        number: Which number.
        condition: Whose.
        order: Of the items: ``fixed`` or ``shuffled``.
        cycle: Rounds of a pass over the items.
        cycles: Whole passes that were compared.
        share: Of the variance, between the rounds of a cycle, over seeds.
        expected: The share of independent values.
        found: Runs with p below 0.05, by Holm's correction over all runs of the number.
        spectrum: Period in rounds and share of the variance, means over seeds.
    """

    group: str
    number: str
    condition: str
    order: str
    cycle: int
    cycles: int
    share: OverSeeds
    expected: float
    found: int
    spectrum: tuple[tuple[float, float], ...]


class SwingsContent(Content):
    """All of them."""

    swings: tuple[Swing, ...]


class Periodogram(Section[NoConfig, SwingsContent]):
    """Swings of rewards with the order of the items; of two passes or more."""

    Config = NoConfig
    part = "methods"
    order = 87
    kept = False

    def read(self, run: RunData) -> SwingsContent | None:
        """Return the swings; None where no run went twice over its items."""
        swings = [swing for name in _NUMBERS for swing in _swings(trained_runs(run.source), name)]
        return SwingsContent(swings=tuple(swings)) if swings else None

    def tables(self, view: View[SwingsContent]) -> Sequence[Table]:
        """Return a row per condition and number."""
        rows = tuple(
            (
                *(s.condition, _NUMBERS[s.number], s.group, s.order, s.cycle, s.cycles),
                Value(s.share.mean, s.share.low, s.share.high),
                Value(s.expected),
                Count(s.found, s.share.seeds),
            )
            for s in view.content.swings
        )
        columns = (
            *("condition", "number", "model and task", "order", "rounds of a pass", "passes"),
            *("share of variance", "of independent rounds", "found in runs"),
        )
        note = (
            "The share of the variance between the rounds of a pass over the items, a straight "
            "line taken out, means over seeds with 95 % t-intervals; beside it what rounds that do "
            "not depend on the item would have. Found: p < 0.05 by an analysis of variance in each "
            "run, Holm's correction over all runs of the same number."
        )
        title = "Do rewards swing with the order of the items?"
        return [Table("periodogram", title, columns, rows, note)]

    def figures(self, view: View[SwingsContent]) -> Sequence[Figure]:
        """Return the periodograms of each model and task."""
        groups = list(dict.fromkeys(swing.group for swing in view.content.swings))
        return [
            _figure(group, number, [s for s in view.content.swings if s.group == group])
            for number, group in enumerate(groups)
        ]


def _swings(runs: Sequence[TrainedRun], number: str) -> list[Swing]:
    groups: dict[tuple[str, str], list[tuple[TrainedRun, list[float], Cycle]]] = defaultdict(list)
    for run in runs:
        values = [value for value in run.curves.get(number, []) if value is not None]
        whole = len(values) == len(run.curves.get(number, []))
        found = cycle(values, run.rounds_of_pass or 0) if whole else None
        if found is not None:
            groups[f"{run.model}, {run.task}", run.condition].append((run, values, found))
    every = [found.p for some in groups.values() for _, _, found in some]
    corrected = iter(holm(every))
    return [
        _swing(group, number, condition, some, [next(corrected) for _ in some])
        for (group, condition), some in groups.items()
    ]


def _swing(
    group: str,
    number: str,
    condition: str,
    runs: Sequence[tuple[TrainedRun, list[float], Cycle]],
    corrected: Sequence[float | None],
) -> Swing:
    first, _, cycle_of_first = runs[0]
    shares: dict[float, list[float]] = defaultdict(list)
    for _, values, _ in runs:
        for period, share in periodogram(values):
            shares[period].append(share)
    return Swing(
        group=group,
        number=number,
        condition=condition,
        order=first.order or "",
        cycle=first.rounds_of_pass or 0,
        cycles=cycle_of_first.cycles,
        share=over_seeds([found.share for _, _, found in runs]).within(0.0, 1.0),
        expected=cycle_of_first.expected,
        found=sum(p is not None and p < _LEVEL for p in corrected),
        spectrum=tuple((x, math.fsum(y) / len(y)) for x, y in sorted(shares.items())),
    )


def _figure(group: str, number: int, swings: Sequence[Swing]) -> Figure:
    rows = tuple(
        (group, _NUMBERS[s.number], s.condition, *point, s.cycle)
        for s in swings
        for point in s.spectrum
    )
    caption = (
        f"Periodograms of training on {group}: the share of the variance over rounds at each "
        "period, a straight line taken out, means over seeds. Dashed: a pass over the items, where "
        "a fixed order would show, and at its half, its third and so on."
    )
    numbers = list(dict.fromkeys(s.number for s in swings))
    name = "periodogram" + f"_{number + 1}" * bool(number)
    size = (WIDTH, 3.4)
    return Figure(name, caption, _COLUMNS, rows, size, partial(_plot, swings, numbers))


def _plot(swings: Sequence[Swing], numbers: Sequence[str], canvas: Canvas) -> None:
    axes = canvas.subplots(*grid_of(len(numbers), 2), squeeze=False, sharex=True, sharey=True)
    names = list(dict.fromkeys(swing.condition for swing in swings))
    for at, number in zip(axes.flat, numbers, strict=False):
        for swing in (s for s in swings if s.number == number):
            colour, _marker = style.series_look(names.index(swing.condition))
            x, y = zip(*swing.spectrum, strict=True) if swing.spectrum else ((), ())
            at.plot(x, y, color=colour, lw=1.3, label=swing.condition)
            at.axvline(swing.cycle, color=style.MUTED, lw=0.9, ls="--", zorder=0)
        at.set_xscale("log")
        at.set_title(_NUMBERS[number], fontsize=9.5)
    label_edges(axes, len(numbers), "period (rounds)", "share of variance")
    draw_legend(canvas)
