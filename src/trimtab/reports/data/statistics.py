"""Estimates and comparisons over units; the arithmetic itself is ``trimtab.stats``."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from trimtab.core.keys import derive_seed
from trimtab.core.spec import Metric
from trimtab.reports.data.numbers import Comparison, Ends, Estimate
from trimtab.stats.intervals import Interval, cluster_bootstrap_mean, wilson
from trimtab.stats.paired import holm, paired_difference

CONFIDENCE = 0.95
SIGNIFICANCE = 0.05
# Half-widths of a 95 % interval that a true difference must span to be found with 80 % power.
POWER_FACTOR = (1.959964 + 0.841621) / 1.959964


def estimate(
    units: Mapping[str, float], clusters: Mapping[str, str], metric: Metric, seed: int
) -> Estimate:
    """Return mean and interval over ``units``; all None where nothing is scored.

    Wilson's interval where the values are 0 or 1 and no two units share a cluster, else the
    percentile interval of a bootstrap that draws whole clusters.
    """
    if not units:
        return Estimate(mean=None, interval=None, method=None)
    values, groups = list(units.values()), [clusters[unit] for unit in units]
    single = len(set(groups)) == len(groups)
    if metric.kind == "binary" and single and all(value in (0.0, 1.0) for value in values):
        interval = wilson(round(sum(values)), len(values), CONFIDENCE)
    else:
        interval = cluster_bootstrap_mean(values, groups, seed=seed, level=CONFIDENCE)
    mean = math.fsum(values) / len(values)
    return Estimate(mean=mean, interval=ends(interval), method=interval.method)


def compare(
    units: Mapping[str, float],
    reference: Mapping[str, float],
    clusters: Mapping[str, str],
    seed: int,
) -> Comparison | None:
    """Return the paired difference over the units that both have; None where they share none.

    ``mde`` is the smallest true difference that this many pairs would find in four runs of five,
    before correction; it is read off the interval, so it knows about clusters.
    """
    if not units.keys() & reference.keys():
        return None
    paired = paired_difference(units, reference, clusters, seed=seed, level=CONFIDENCE)
    interval = ends(paired.interval)
    return Comparison(
        n=paired.n,
        num_clusters=paired.num_clusters,
        difference=paired.mean,
        interval=interval,
        p=paired.p_value,
        p_holm=None,
        test=paired.test,
        wins=paired.wins,
        losses=paired.losses,
        ties=paired.ties,
        mde=detectable(interval),
    )


def detectable(interval: Ends | None) -> float | None:
    """Return the true difference that is found in four runs of five, read off an interval."""
    return POWER_FACTOR * (interval[1] - interval[0]) / 2 if interval else None


def ends(interval: Interval) -> Ends | None:
    """Return the ends of an interval; None where it is not defined."""
    return (interval.low, interval.high) if interval.is_defined else None


def corrected(family: Sequence[Comparison]) -> list[Comparison]:
    """Return every comparison of a family with ``p_holm`` filled in."""
    adjusted = holm([comparison.p for comparison in family])
    return [
        comparison.model_copy(update={"p_holm": p})
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
