"""Means over seeds, each of which has values of its own questions: seeds count, then questions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from trimtab.core.lazy import lazy
from trimtab.stats.intervals import Interval, mean_interval_t, undefined_interval

if TYPE_CHECKING:
    from scipy import special
else:
    special = lazy("scipy.special")


def nested_bootstrap_mean(
    groups: Sequence[Sequence[float]],
    *,
    seed: int,
    num_resamples: int = 2000,
    level: float = 0.95,
) -> Interval:
    """Return the percentile interval of the mean of group means, groups and values resampled.

    As many groups as there are are drawn with replacement, then of each drawn group as many values
    as it has. Few groups make it too narrow. One group, or groups that are all one constant, give
    an undefined interval.

    Args:
        groups: The values of each group, at least one each.
        seed: Seed of numpy's PCG64.
        num_resamples: Number of resamples.
        level: Nominal coverage.

    Raises:
        ValueError: There is no group, or one is empty.
    """
    if not groups or not all(groups):
        raise ValueError("nested_bootstrap_mean: needs groups of at least one value each")
    if len(groups) == 1:
        return undefined_interval(level, "one group")
    if len({value for group in groups for value in group}) == 1:
        return undefined_interval(level, "all values are equal")
    rng = np.random.Generator(np.random.PCG64(seed))
    arrays = [np.asarray(group, dtype=np.float64) for group in groups]
    drawn_BG = rng.integers(0, len(arrays), (num_resamples, len(arrays)))
    sums_B = np.zeros(num_resamples)
    for number, values in enumerate(arrays):
        for column in drawn_BG.T:
            rows = np.flatnonzero(column == number)
            picked = rng.integers(0, values.size, (rows.size, values.size))
            sums_B[rows] += values[picked].mean(1)
    means_B = sums_B / len(arrays)
    low, high = np.quantile(means_B, [(1 - level) / 2, (1 + level) / 2])
    method = f"percentile bootstrap, {len(arrays)} groups, then their values"
    return Interval(float(low), float(high), level, method)


def mean_p_value_t(values: Sequence[float]) -> float | None:
    """Return the two-sided p-value of a mean of zero by Student's t; None where there is no test.

    There is none for one value, or for values that are all equal.
    """
    interval = mean_interval_t(values)
    if not interval.is_defined:
        return None
    mean = math.fsum(values) / len(values)
    quantile = float(special.stdtrit(len(values) - 1, (1 + interval.level) / 2))
    error = (interval.high - interval.low) / 2 / quantile
    return float(2 * special.stdtr(len(values) - 1, -abs(mean) / error))
