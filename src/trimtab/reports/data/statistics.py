"""Estimates and comparisons over units; the arithmetic itself is ``trimtab.stats``."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from trimtab.core.keys import derive_seed
from trimtab.core.spec import Metric
from trimtab.reports.data.numbers import Comparison, Ends, Estimate
from trimtab.stats.intervals import (
    WILSON,
    Interval,
    Totals,
    bootstrap_means,
    cluster_totals,
    wilson,
)
from trimtab.stats.paired import (
    MCNEMAR,
    PairedDifference,
    Pairs,
    holm,
    paired_differences,
)
from trimtab.stats.power import (
    POWER,
    detectable_errors,
    least_p,
    minimum_detectable_difference,
    normal_quantile,
)

CONFIDENCE = 0.95
SIGNIFICANCE = 0.05
NORMAL = 1.959964
"""Half-width of a 95 % interval in standard errors."""
CROSSED = "t, questions and vectors"
CROSSED_SEEDS = "t, questions and seeds"
_BY_T = (CROSSED, CROSSED_SEEDS)
FEW_CLUSTERS = 8
"""Over fewer, intervals are too narrow and are marked."""


def is_few(clusters: int) -> bool:
    """Whether an interval over so many clusters is marked; 0 is not known."""
    return 0 < clusters < FEW_CLUSTERS


def drawn_clusters(found: Estimate) -> int:
    """Return how many clusters an interval was resampled from; 0 where it wasn't.

    Wilson's interval is as wide as few questions demand; it is resampled from none.
    """
    return found.num_clusters if is_resampled(found) else 0


def is_resampled(found: Estimate) -> bool:
    """Whether an interval shows how much clusters differ; Wilson's, over clusters too, doesn't."""
    return not (found.method or "").startswith(WILSON)


Units = Mapping[str, float]
"""A value for each question."""
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def codes_of(labels: Sequence[str]) -> Ints:
    """Return each label as a number, in the order of the labels' names."""
    numbers = {name: number for number, name in enumerate(sorted(set(labels)))}
    return np.array([numbers[label] for label in labels], dtype=np.int64)


def estimate(units: Units, clusters: Mapping[str, str], metric: Metric, seed: int) -> Estimate:
    """Return mean and interval over ``units``; all None where nothing is scored.

    Wilson's interval where the values are 0 or 1 and no two units share a cluster, else the
    percentile interval of a bootstrap that draws whole clusters; and where those are all alike, so
    that no draw differs, a rate has Wilson's over clusters.
    """
    values_U = np.array(list(units.values()), dtype=np.float64)
    codes_U = codes_of([clusters[unit] for unit in units])
    return estimates([(values_U, metric)], codes_U, seed)[0]


def estimates(
    wanted: Sequence[tuple[Floats, Metric]], clusters_U: Ints, seed: int
) -> list[Estimate]:
    """Return ``estimate`` of many metrics and conditions, which share their bootstrap draws.

    Args:
        wanted: Values of all questions, [U], NaN where one has none; and the metric.
        clusters_U: Number of each question's cluster.
        seed: Of the draws.
    """
    found: dict[int, Interval] = {}
    totals: dict[int, Totals] = {}
    scored: list[tuple[Floats, int]] = []
    for index, (values_U, metric) in enumerate(wanted):
        there_U = ~np.isnan(values_U)
        values, groups = values_U[there_U], clusters_U[there_U]
        num_clusters = int(np.count_nonzero(np.bincount(groups)))
        scored.append((values, num_clusters))
        if not values.size:
            continue
        single = num_clusters == values.size
        if metric.kind == "binary" and single and bool(np.isin(values, (0.0, 1.0)).all()):
            found[index] = wilson(int(values.sum()), values.size, CONFIDENCE)
        else:
            totals[index] = cluster_totals(values, groups)
    drawn = bootstrap_means(list(totals.values()), seed=seed, level=CONFIDENCE)
    found |= dict(zip(totals, drawn, strict=True))
    return [
        _certain(_estimate(values, found.get(i), num), metric)
        for i, ((values, num), (_, metric)) in enumerate(zip(scored, wanted, strict=True))
    ]


def _certain(estimate: Estimate, metric: Metric) -> Estimate:
    """Return a rate that is the same in every cluster with Wilson's interval over clusters."""
    clusters = estimate.num_clusters
    if estimate.interval is not None or metric.kind == "number" or clusters < 2:
        return estimate
    assert estimate.mean is not None
    interval = wilson(clusters * estimate.mean, clusters, CONFIDENCE)
    method = f"{interval.method} over clusters, which are all alike"
    return estimate.model_copy(update={"interval": ends(interval), "method": method})


def _estimate(values: Floats, interval: Interval | None, num_clusters: int) -> Estimate:
    if interval is None:
        return Estimate(mean=None, interval=None, method=None, num_clusters=0)
    return Estimate(
        mean=math.fsum(values.tolist()) / values.size,
        interval=ends(interval),
        method=interval.method,
        num_clusters=num_clusters,
    )


def compare(
    units: Units, reference: Units, clusters: Mapping[str, str], seed: int
) -> Comparison | None:
    """Return the paired difference over the units that both have; None where they share none.

    ``mde`` is that of one test alone; ``corrected`` gives that of one among many.
    """
    shared = sorted(units.keys() & reference.keys())
    pair = (
        np.array([units[unit] for unit in shared], dtype=np.float64),
        np.array([reference[unit] for unit in shared], dtype=np.float64),
    )
    return comparisons([pair], codes_of([clusters[unit] for unit in shared]), seed)[0]


def comparisons(
    wanted: Sequence[tuple[Floats, Floats]], clusters_U: Ints, seed: int
) -> list[Comparison | None]:
    """Return ``compare`` of many pairs, which share their bootstrap draws and sign flips.

    Args:
        wanted: Values of all questions in both conditions, [U] each, NaN where one has none.
        clusters_U: Number of each question's cluster.
        seed: Of the draws and flips.
    """
    pairs: dict[int, Pairs] = {}
    for index, (left_U, right_U) in enumerate(wanted):
        there_U = ~(np.isnan(left_U) | np.isnan(right_U))
        if there_U.any():
            values = np.stack([left_U[there_U], right_U[there_U]], axis=1)
            pairs[index] = Pairs(values, clusters_U[there_U])
    drawn = paired_differences(list(pairs.values()), seed=seed, level=CONFIDENCE)
    found = dict(zip(pairs, map(_comparison, drawn), strict=True))
    return [found.get(index) for index in range(len(wanted))]


def _comparison(paired: PairedDifference) -> Comparison:
    comparison = Comparison.taken(
        paired,
        difference=paired.mean,
        interval=ends(paired.interval),
        p=paired.p_value,
        p_holm=None,
        mde=None,
    )
    return comparison.model_copy(update={"mde": detectable(comparison)})


def detectable(comparison: Comparison, tests: int = 1) -> float | None:
    """Return the true difference that is found in four runs of five.

    It is that of the test that was used, over its clusters, at the level that one effect among
    ``tests`` must reach; how much answers vary is read off the data. None where they do not vary,
    or where no difference of any size could be found.
    """
    if comparison.interval is None or not can_establish(comparison, tests):
        return None
    level = SIGNIFICANCE / tests
    low, high = comparison.interval
    error = (high - low) / 2 / NORMAL
    if comparison.test == MCNEMAR:
        changed = (comparison.wins + comparison.losses) / comparison.n
        if not changed:
            return None
        found = minimum_detectable_difference(comparison.n, changed, level=1 - level)
        # the exact test is stricter than the formula's by about one answer
        least = found + 1 / comparison.n
        return least if least <= changed else None
    if comparison.test in _BY_T:
        return error * (normal_quantile(1 - level / 2) + normal_quantile(POWER))
    errors = detectable_errors(comparison.num_clusters, level)
    # percentiles of a bootstrap lack the factor that a standard deviation of a sample has
    few = math.sqrt(comparison.num_clusters / (comparison.num_clusters - 1))
    return None if errors is None else error * few * errors


def can_establish(comparison: Comparison, tests: int) -> bool:
    """Whether an effect of some size could be significant among ``tests``."""
    if comparison.p is None:
        return False
    return comparison.test in _BY_T or least_p(comparison.num_clusters) < SIGNIFICANCE / tests


def ends(interval: Interval) -> Ends | None:
    """Return the ends of an interval; None where it is not defined."""
    return (interval.low, interval.high) if interval.is_defined else None


def corrected(family: Sequence[Comparison]) -> list[Comparison]:
    """Return every comparison of a family with ``p_holm`` filled in, and its ``mde``."""
    adjusted = holm([comparison.p for comparison in family])
    tests = max(1, sum(p is not None for p in adjusted))
    return [
        comparison.model_copy(update={"p_holm": p, "mde": detectable(comparison, tests)})
        for comparison, p in zip(family, adjusted, strict=True)
    ]


def significant(comparison: Comparison | None) -> bool:
    """Whether a comparison survives Holm's correction; one that is in no family does not."""
    return (
        comparison is not None
        and comparison.p_holm is not None
        and comparison.p_holm < SIGNIFICANCE
    )


def seed_for(base: int, *parts: str) -> int:
    """Return the seed of one bootstrap: the same for the same question, in any order of asking."""
    return derive_seed("report", base, *parts)
