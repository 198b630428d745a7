"""Estimates and comparisons over units; the arithmetic itself is ``trimtab.stats``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from trimtab.core.keys import derive_seed
from trimtab.core.spec import Metric
from trimtab.stats.intervals import Interval, cluster_bootstrap_mean, wilson
from trimtab.stats.paired import holm, paired_difference

CONFIDENCE = 0.95
SIGNIFICANCE = 0.05
# Half-widths of a 95 % interval that a true difference must span to be found with 80 % power.
POWER_FACTOR = (1.959964 + 0.841621) / 1.959964


def estimate(
    units: Mapping[str, float], clusters: Mapping[str, str], metric: Metric, seed: int
) -> dict[str, Any]:
    """Return mean and interval over ``units``; all None where nothing is scored.

    Wilson's interval where the values are 0 or 1 and no two units share a cluster, else the
    percentile interval of a bootstrap that draws whole clusters.
    """
    if not units:
        return {"mean": None, "interval": None, "method": None}
    values, groups = list(units.values()), [clusters[unit] for unit in units]
    single = len(set(groups)) == len(groups)
    if metric.kind == "binary" and single and all(value in (0.0, 1.0) for value in values):
        found = wilson(round(sum(values)), len(values), CONFIDENCE)
    else:
        found = cluster_bootstrap_mean(values, groups, seed=seed, level=CONFIDENCE)
    mean = math.fsum(values) / len(values)
    return {"mean": mean, "interval": _bounds(found), "method": found.method}


def compare(
    units: Mapping[str, float],
    reference: Mapping[str, float],
    clusters: Mapping[str, str],
    seed: int,
) -> dict[str, Any] | None:
    """Return the paired difference over the units that both have; None where they share none.

    ``mde`` is the smallest true difference that this many pairs would find in four runs of five,
    before correction; it is read off the interval, so it knows about clusters.
    """
    if not units.keys() & reference.keys():
        return None
    found = paired_difference(units, reference, clusters, seed=seed, level=CONFIDENCE)
    interval = _bounds(found.interval)
    return {
        "n": found.n,
        "num_clusters": found.num_clusters,
        "difference": found.mean,
        "interval": interval,
        "p": found.p_value,
        "p_holm": None,
        "test": found.test,
        "wins": found.wins,
        "losses": found.losses,
        "ties": found.ties,
        "mde": POWER_FACTOR * (interval[1] - interval[0]) / 2 if interval else None,
    }


def _bounds(interval: Interval) -> list[float] | None:
    return [interval.low, interval.high] if interval.is_defined else None


def correct(family: list[dict[str, Any]]) -> None:
    """Fill in ``p_holm`` of every comparison of a family."""
    for comparison, p in zip(family, holm([c["p"] for c in family]), strict=True):
        comparison["p_holm"] = p


def significant(comparison: Mapping[str, Any] | None) -> bool:
    """Whether a comparison survives Holm's correction; one that is in no family does not."""
    return bool(
        comparison is not None
        and comparison["p_holm"] is not None
        and comparison["p_holm"] < SIGNIFICANCE
    )


def seed_for(base: int, *parts: str) -> int:
    """Return the seed of one bootstrap: the same for the same question, in any order of asking."""
    return derive_seed("report", base, *parts)
