"""The arithmetic of squares: rates, gaps and the difference of gaps, over questions and seeds.

Questions are drawn by the bootstrap over clusters that every comparison uses. Seeds of a training
are few, and a bootstrap of three is too narrow; they widen the interval by Student's t instead.

Dimensions: U questions of a block.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trimtab.core.spec import Metric
from trimtab.reports.data.cells import Ints
from trimtab.reports.data.metrics import Floats
from trimtab.reports.data.numbers import Comparison, Estimate
from trimtab.reports.data.statistics import (
    CONFIDENCE,
    CROSSED_SEEDS,
    comparisons,
    detectable,
    ends,
    estimates,
)
from trimtab.reports.data.units import mean_over
from trimtab.stats.crossed import Spread, crossed_interval, crossed_p_value, spread
from trimtab.stats.hybrid import hybrid_interval
from trimtab.stats.intervals import Interval


@dataclass(frozen=True)
class Four:
    """The values of a square's conditions, [U] each, NaN where a question has none.

    Attributes:
        triggered: With the trigger, for each seed.
        leakage: Without it, for the same seeds.
        base_triggered: The base's with the trigger; None where it was not measured.
        base_untriggered: The base's without it.
    """

    triggered: Sequence[Floats]
    leakage: Sequence[Floats]
    base_triggered: Floats | None
    base_untriggered: Floats | None

    def only(self, units: Sequence[int]) -> Four:
        """Return the values of some questions alone, in the order of their numbers."""
        base = [
            None if values is None else values[list(units)]
            for values in (self.base_triggered, self.base_untriggered)
        ]
        return Four(
            [values[list(units)] for values in self.triggered],
            [values[list(units)] for values in self.leakage],
            *base,
        )

    @property
    def gaps(self) -> list[Floats]:
        """Triggered less leakage, for each seed."""
        return [a - b for a, b in zip(self.triggered, self.leakage, strict=True)]

    @property
    def base_gap(self) -> Floats | None:
        """The base's triggered less its untriggered."""
        if self.base_triggered is None or self.base_untriggered is None:
            return None
        return self.base_triggered - self.base_untriggered


@dataclass(frozen=True)
class Numbers:
    """What a square comes to; see ``content.Contrast``."""

    triggered: Estimate
    leakage: Estimate
    base_triggered: Estimate | None
    base_untriggered: Estimate | None
    gap: Comparison | None
    base_gap: Comparison | None
    difference: Comparison | None


def rates(
    wanted: Sequence[tuple[Sequence[Floats], Metric]], clusters_U: Ints, seed: int
) -> list[Estimate]:
    """Return the mean of each condition over questions and seeds.

    Args:
        wanted: Values of the condition for each of its seeds, and the metric.
        clusters_U: Number of each question's cluster.
        seed: Of the draws.
    """
    pooled = [(mean_over(parts), metric) for parts, metric in wanted]
    found = estimates(pooled, clusters_U, seed)
    return [_widened(estimate, parts) for estimate, (parts, _) in zip(found, wanted, strict=True)]


def square_numbers(
    wanted: Sequence[tuple[Four, Metric]], clusters_U: Ints, seed: int
) -> list[Numbers]:
    """Return the numbers of many squares, which share their draws."""
    means: list[tuple[Sequence[Floats], Metric]] = []
    pairs: list[tuple[Floats, Floats]] = []
    for four, metric in wanted:
        missing = np.full(clusters_U.size, math.nan)
        base = [missing if v is None else v for v in (four.base_triggered, four.base_untriggered)]
        means += [(four.triggered, metric), (four.leakage, metric)]
        means += [([values], metric) for values in base]
        own = (mean_over(four.triggered), mean_over(four.leakage))
        base_gap = missing if four.base_gap is None else four.base_gap
        pairs += [own, (base[0], base[1]), (mean_over(four.gaps), base_gap)]
    levels = rates(means, clusters_U, seed)
    changes = comparisons(pairs, clusters_U, seed)
    return [
        _numbers(four, metric, levels[4 * i : 4 * i + 4], changes[3 * i : 3 * i + 3])
        for i, (four, metric) in enumerate(wanted)
    ]


def _numbers(
    four: Four,
    metric: Metric,
    levels: Sequence[Estimate],
    changes: Sequence[Comparison | None],
) -> Numbers:
    triggered, leakage, base_triggered, base_untriggered = levels
    gap, base_gap, difference = (
        _hybrid(change, levels[start:end], metric)
        for change, (start, end) in zip(changes, ((0, 2), (2, 4), (0, 4)), strict=True)
    )
    base = four.base_gap
    return Numbers(
        triggered=triggered,
        leakage=leakage,
        base_triggered=None if four.base_triggered is None else base_triggered,
        base_untriggered=None if four.base_untriggered is None else base_untriggered,
        gap=_widened_change(gap, four.gaps),
        base_gap=base_gap,
        difference=None
        if base is None
        else _widened_change(difference, [gap - base for gap in four.gaps]),
    )


def _hybrid(
    change: Comparison | None, levels: Sequence[Estimate], metric: Metric
) -> Comparison | None:
    """Return a difference that is the same in every cluster with an interval from the rates'."""
    if change is None or change.interval is not None or metric.kind == "number":
        return change
    parts = [
        (sign, level.mean, Interval(*level.interval, CONFIDENCE, ""))
        for sign, level in zip((1, -1, -1, 1), levels, strict=False)
        if level.mean is not None and level.interval is not None
    ]
    if len(parts) < len(levels) or change.num_clusters < 2:
        return change
    interval = hybrid_interval(parts)
    moved = change.difference - math.fsum(sign * mean for sign, mean, _ in parts)
    bounds = (interval.low + moved, interval.high + moved)
    return change.model_copy(update={"interval": bounds})


def _among(parts: Sequence[Floats]) -> Spread | None:
    means = [math.fsum(scored) / len(scored) for part in parts
             if (scored := part[~np.isnan(part)].tolist())]  # fmt: skip
    return spread(means) if len(means) > 1 else None


def _widened(estimate: Estimate, parts: Sequence[Floats]) -> Estimate:
    among = _among(parts)
    if among is None or estimate.mean is None or estimate.interval is None:
        return estimate
    rows = Interval(*estimate.interval, CONFIDENCE, estimate.method or "")
    both = crossed_interval(estimate.mean, rows, among, "seed")
    return estimate.model_copy(update={"interval": ends(both), "method": both.method})


def _widened_change(change: Comparison | None, parts: Sequence[Floats]) -> Comparison | None:
    """Return a comparison whose interval and test cover the seeds, too."""
    among = _among(parts)
    if change is None or among is None or change.interval is None:
        return change
    rows = Interval(*change.interval, CONFIDENCE, "")
    wide = change.model_copy(
        update={
            "interval": ends(crossed_interval(change.difference, rows, among, "seed")),
            "p": crossed_p_value(change.difference, rows, among),
            "test": CROSSED_SEEDS,
        }
    )
    return wide.model_copy(update={"mde": detectable(wide)})
