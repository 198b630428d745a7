"""Confidence intervals for rates and means.

An interval that the data can't support is ``Interval(nan, nan)`` with the reason in ``method``: a
width of zero would read as certainty. Missing values are the caller's to drop and to count
(``trimtab.stats.reduce.mean_of``); a NaN that reaches this module is an error.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from trimtab.core.lazy import lazy
from trimtab.stats.resampling import resampled_sums

if TYPE_CHECKING:
    from scipy import special
else:
    special = lazy("scipy.special")

WILSON = "Wilson"
"""The method of Wilson's intervals."""
Values = Sequence[float] | npt.NDArray[np.float64]
"""One number per row."""
Clusters = Sequence[str] | Sequence[int] | npt.NDArray[np.int64]
"""The cluster of each row, all strings or all integers."""
Totals = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]
"""Sum of values and number of rows per cluster, each [C]."""


@dataclass(frozen=True)
class Interval:
    """A two-sided interval; ``low`` and ``high`` are in the unit of the values.

    Attributes:
        low: Lower end; NaN where no interval is defined.
        high: Upper end; NaN where no interval is defined.
        level: Nominal coverage, for example 0.95.
        method: How it was made, or why there is none.
    """

    low: float
    high: float
    level: float
    method: str

    @property
    def is_defined(self) -> bool:
        """Whether there is an interval at all."""
        return not (math.isnan(self.low) or math.isnan(self.high))


def undefined_interval(level: float, reason: str) -> Interval:
    """Return the interval of data that support none, with ``reason`` as its method."""
    return Interval(math.nan, math.nan, level, f"none: {reason}")


def wilson(successes: float, n: int, level: float = 0.95) -> Interval:
    """Return Wilson's score interval of a rate, without continuity correction.

    Rows are taken as independent; use ``cluster_bootstrap_mean`` where they share a question.

    Args:
        successes: How many of ``n`` trials succeeded; a fraction where a trial is a mean.
        n: Number of trials.
        level: Nominal coverage.

    Raises:
        ValueError: ``n`` is not positive, or ``successes`` is not within 0..n.

    Source: E. B. Wilson, J. Am. Stat. Assoc. 22 (1927).
    """
    _check_level(level)
    if n < 1:
        raise ValueError(f"wilson: n={n}, but a rate needs at least one scored row")
    if not 0 <= successes <= n:
        raise ValueError(f"wilson: successes={successes} is not within 0..n={n}")
    squared = float(special.ndtri((1 + level) / 2)) ** 2
    rate = successes / n
    centre = (rate + squared / (2 * n)) / (1 + squared / n)
    half = math.sqrt(squared * (rate * (1 - rate) / n + squared / (4 * n * n))) / (1 + squared / n)
    low, high = (0.0 if successes == 0 else centre - half), centre + half
    return Interval(low, 1.0 if successes == n else high, level, WILSON)


def mean_interval_t(values: Sequence[float], level: float = 0.95) -> Interval:
    """Return Student's t interval of the mean of independent ``values``.

    One value, or values that are all equal, give an undefined interval.

    Raises:
        ValueError: ``values`` is empty or holds a NaN or an infinity.
    """
    _check_level(level)
    array = _finite_array("mean_interval_t", values)
    if array.size == 1:
        return undefined_interval(level, "one value")
    if _is_constant(array):
        return undefined_interval(level, "all values are equal")
    error = float(array.std(ddof=1)) / math.sqrt(array.size)
    half = float(special.stdtrit(array.size - 1, (1 + level) / 2)) * error
    mean = float(array.mean())
    return Interval(mean - half, mean + half, level, f"t, {array.size - 1} degrees of freedom")


def cluster_bootstrap_mean(
    values: Sequence[float],
    clusters: Sequence[str] | Sequence[int],
    *,
    seed: int,
    num_resamples: int = 2000,
    level: float = 0.95,
) -> Interval:
    """Return the percentile bootstrap interval of a mean, resampling whole clusters.

    C clusters are drawn with replacement from C; the statistic is the mean over all rows drawn, so
    large clusters weigh more, as they do in the plain mean. The result depends on the seed and on
    the multiset of (cluster, value) pairs, not on the order of rows. With fewer than about 20
    clusters the percentile interval is too narrow. One cluster, or clusters whose means are all
    equal, give an undefined interval.

    Args:
        values: One number per row.
        clusters: The cluster of each row, all strings or all integers.
        seed: Seed of numpy's PCG64.
        num_resamples: Number of bootstrap resamples.
        level: Nominal coverage.

    Raises:
        ValueError: no values, unequal lengths, a NaN or an infinity, or ``num_resamples`` < 1.
    """
    _check_level(level)
    if num_resamples < 1:
        raise ValueError(f"cluster_bootstrap_mean: num_resamples={num_resamples}, needs 1 or more")
    totals = [cluster_totals(values, clusters)]
    return bootstrap_means(totals, seed=seed, num_resamples=num_resamples, level=level)[0]


def bootstrap_means(
    totals: Sequence[Totals], *, seed: int, num_resamples: int = 2000, level: float = 0.95
) -> list[Interval]:
    """Return ``cluster_bootstrap_mean`` of many means, which share their draws.

    Args:
        totals: Of each mean the ``cluster_totals``.
        seed: Seed of numpy's PCG64; an interval depends on what it is beside by rounding alone.
        num_resamples: Number of bootstrap resamples.
        level: Nominal coverage.
    """
    found: dict[int, Interval] = {}
    alike: dict[int, list[int]] = defaultdict(list)
    for index, (sums, counts) in enumerate(totals):
        if sums.size == 1:
            found[index] = undefined_interval(level, "one cluster")
        elif _is_constant(sums / counts):
            found[index] = undefined_interval(level, "all cluster means are equal")
        else:
            alike[sums.size].append(index)
    for num_clusters, indices in alike.items():
        # most means have as many rows of each cluster as others: those are drawn once
        patterns = {totals[i][1].tobytes(): totals[i][1] for i in indices}
        place = {count: len(indices) + number for number, count in enumerate(patterns)}
        columns = np.stack([*(totals[i][0] for i in indices), *patterns.values()], axis=1)
        drawn = resampled_sums(columns, seed=seed, num_resamples=num_resamples)
        rows = drawn[:, [place[totals[i][1].tobytes()] for i in indices]]
        means = drawn[:, : len(indices)] / rows
        lows, highs = np.quantile(means, [(1 - level) / 2, (1 + level) / 2], axis=0)
        method = f"percentile bootstrap, {num_clusters} clusters, {num_resamples} resamples"
        for index, low, high in zip(indices, lows, highs, strict=True):
            found[index] = Interval(float(low), float(high), level, method)
    return [found[index] for index in range(len(totals))]


def cluster_bootstrap_ratio(
    numerators: Sequence[float],
    denominators: Sequence[float],
    clusters: Sequence[str] | Sequence[int],
    *,
    seed: int,
    num_resamples: int = 2000,
    level: float = 0.95,
) -> Interval:
    """Return the percentile bootstrap interval of sum(numerators) / sum(denominators).

    Whole clusters are resampled, as in ``cluster_bootstrap_mean``. The interval is undefined with
    one cluster, and where the denominator vanishes in the data or in more than 1 % of resamples;
    fewer such resamples are left out.

    Args:
        numerators: One number per row.
        denominators: One number per row, none negative.
        clusters: The cluster of each row, all strings or all integers.
        seed: Seed of numpy's PCG64.
        num_resamples: Number of resamples.
        level: Nominal coverage.

    Raises:
        ValueError: no rows, unequal lengths, a NaN or an infinity.
    """
    _check_level(level)
    tops, _ = cluster_totals(numerators, clusters)
    bottoms, _ = cluster_totals(denominators, clusters)
    if tops.size == 1:
        return undefined_interval(level, "one cluster")
    columns = np.stack([tops, bottoms], axis=1)
    drawn = resampled_sums(columns, seed=seed, num_resamples=num_resamples)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = drawn[:, 0] / drawn[:, 1]
    finite = ratios[np.isfinite(ratios)]
    if not bottoms.sum() or finite.size < 0.99 * num_resamples:
        return undefined_interval(level, "the denominator can vanish")
    low, high = np.quantile(finite, [(1 - level) / 2, (1 + level) / 2])
    method = f"percentile bootstrap, {tops.size} clusters, {num_resamples} resamples"
    return Interval(float(low), float(high), level, method)


def cluster_totals(values: Values, clusters: Clusters) -> Totals:
    """Return (sum of values, number of rows) per cluster, float64 [C], clusters in sorted order.

    Raises:
        ValueError: no values, unequal lengths, or a NaN or an infinity.
    """
    array = _finite_array("clustered values", values)
    if array.size != len(clusters):
        raise ValueError(f"{array.size} values, but {len(clusters)} cluster labels: need one each")
    _, codes = np.unique(np.asarray(clusters), return_inverse=True)
    # Summing in the order of the values makes the sums independent of the order of rows.
    order = np.argsort(array, kind="stable")
    sums = np.bincount(codes[order], weights=array[order]).astype(np.float64)
    return sums, np.bincount(codes).astype(np.float64)


def _check_level(level: float) -> None:
    if not 0 < level < 1:
        raise ValueError(f"level={level} is not a coverage between 0 and 1, such as 0.95")


def _finite_array(who: str, values: Values) -> npt.NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    if array.size == 0:
        raise ValueError(f"{who}: no values; a mean needs at least one scored row")
    bad = np.flatnonzero(~np.isfinite(array))
    if bad.size:
        raise ValueError(
            f"{who}: value {array[bad[0]]} at index {bad[0]} ({bad.size} not finite of "
            f"{array.size}); drop missing rows and count them first"
        )
    return array


def _is_constant(array: npt.NDArray[np.float64]) -> bool:
    # Means of equal values differ in their last bits when the counts differ.
    return float(np.ptp(array)) <= 1e-12 * float(np.abs(array).max())
