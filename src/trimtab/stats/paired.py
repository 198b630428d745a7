"""Two conditions on the same rows: difference, interval, p-value, correction, power."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from scipy import stats

from trimtab.stats.intervals import Interval, cluster_bootstrap_mean, cluster_totals

K = TypeVar("K", bound=Hashable)

# Up to this many clusters all 2**C sign patterns are tried (4096 at 12).
_MAX_EXACT_CLUSTERS = 12
_BLOCK_CELLS = 4_000_000


@dataclass(frozen=True)
class PairedDifference:
    """The mean of ``a - b`` over the rows that both conditions scored.

    Attributes:
        n: Number of pairs used.
        num_clusters: Number of independent units among them.
        mean: Mean difference, in the unit of the values; positive where a is larger.
        interval: Clustered paired bootstrap interval of the mean.
        p_value: Two-sided; None where no test is possible.
        test: Name of the test, or why there is none.
        wins: Pairs with a > b.
        losses: Pairs with a < b.
        ties: Pairs with a == b.
        num_dropped: Keys that one side lacks, or where either value is None or not finite.
    """

    n: int
    num_clusters: int
    mean: float
    interval: Interval
    p_value: float | None
    test: str
    wins: int
    losses: int
    ties: int
    num_dropped: int


def paired_difference(
    a: Mapping[K, float | None],
    b: Mapping[K, float | None],
    clusters: Mapping[K, str] | None = None,
    *,
    seed: int,
    num_resamples: int = 2000,
    num_flips: int = 10_000,
    level: float = 0.95,
) -> PairedDifference:
    """Compare condition ``a`` with condition ``b`` on the rows that both scored.

    The test is exact McNemar where every value is 0 or 1 and every cluster is one row; otherwise a
    permutation test that flips the sign of whole clusters.

    Args:
        a: Value of each row under the condition of interest; None is unscored.
        b: Value of each row under the reference.
        clusters: Cluster of each row (its question, its category); None makes each row its own.
        seed: Seed of the bootstrap and of the sign flips.
        num_resamples: Number of bootstrap resamples.
        num_flips: Number of random sign patterns, where they can't be enumerated.
        level: Nominal coverage of the interval.

    Raises:
        ValueError: no row is scored on both sides, or a scored row has no cluster.
    """
    keys = _scored_keys(a, b)
    pairs = np.array([(a[key], b[key]) for key in keys], dtype=np.float64)
    labels = list(range(len(keys))) if clusters is None else _labels(keys, clusters)
    differences = pairs[:, 0] - pairs[:, 1]
    interval = cluster_bootstrap_mean(
        differences.tolist(), labels, seed=seed, num_resamples=num_resamples, level=level
    )
    sums, _ = cluster_totals(differences.tolist(), labels)
    wins, losses = int((differences > 0).sum()), int((differences < 0).sum())
    p_value: float | None
    if sums.size > 1 and sums.size == len(keys) and bool(np.isin(pairs, (0.0, 1.0)).all()):
        p_value, test = mcnemar_exact(wins, losses), "exact McNemar"
    elif sums.size > 1:
        p_value, test = sign_flip_test(sums, seed=seed, num_flips=num_flips)
    else:
        p_value, test = None, "none: one cluster"
    return PairedDifference(
        n=len(keys),
        num_clusters=int(sums.size),
        mean=math.fsum(differences) / len(keys),
        interval=interval,
        p_value=p_value,
        test=test,
        wins=wins,
        losses=losses,
        ties=len(keys) - wins - losses,
        num_dropped=len({*a, *b}) - len(keys),
    )


def mcnemar_exact(b: int, c: int) -> float:
    """Return the two-sided exact McNemar p-value of ``b`` against ``c`` discordant pairs.

    Under the null hypothesis ``b`` is binomial(b + c, 1/2). No discordant pair gives 1.0.

    Raises:
        ValueError: a count is negative.
    """
    if b < 0 or c < 0:
        raise ValueError(f"mcnemar_exact: counts b={b}, c={c} can't be negative")
    return 1.0 if b + c == 0 else float(stats.binomtest(b, b + c, 0.5).pvalue)


def sign_flip_test(
    cluster_sums: npt.ArrayLike, *, seed: int, num_flips: int = 10_000
) -> tuple[float, str]:
    """Test that the sum of differences is zero by flipping the sign of each cluster.

    Clusters whose sum is zero can't change the statistic and are left out. With at most 12 others
    all sign patterns are enumerated; else ``num_flips`` random ones are drawn and the observed one
    is counted among them, so that p is never zero (Phipson and Smyth, 2010).

    Args:
        cluster_sums: Sum of the paired differences of each cluster, [C].
        seed: Seed of numpy's PCG64; a stream of its own, apart from the bootstrap's.
        num_flips: Number of random sign patterns.

    Returns:
        The two-sided p-value and the name of the test.

    Raises:
        ValueError: ``num_flips`` is less than 1.
    """
    if num_flips < 1:
        raise ValueError(f"sign_flip_test: num_flips={num_flips}, needs 1 or more")
    sums = np.asarray(cluster_sums, dtype=np.float64)
    sums = sums[sums != 0]
    # Patterns that tie with the observed one must count in spite of rounding.
    threshold = abs(float(sums.sum())) - 1e-9 * float(np.abs(sums).sum())
    if sums.size <= _MAX_EXACT_CLUSTERS:
        bits = np.arange(2**sums.size)[:, None] >> np.arange(sums.size) & 1
        p_value = float(np.mean(np.abs((1 - 2 * bits) @ sums) >= threshold))
        return p_value, "exact sign flips of clusters"
    rng = np.random.Generator(np.random.PCG64([seed, 1]))
    block = max(1, _BLOCK_CELLS // sums.size)
    num_extreme = 0
    for start in range(0, num_flips, block):
        size = (min(block, num_flips - start), sums.size)
        signs = 1.0 - 2.0 * rng.integers(0, 2, size=size, dtype=np.int8)
        num_extreme += int((np.abs(signs @ sums) >= threshold).sum())
    return (1 + num_extreme) / (1 + num_flips), f"{num_flips} random sign flips of clusters"


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Return p-values adjusted for the family-wise error rate by Holm's step-down method.

    None (no test was possible) stays None and does not count as a test.

    Raises:
        ValueError: a p-value is not within 0..1.
    """
    tested = [p for p in p_values if p is not None]
    for p in tested:
        if not 0 <= p <= 1:
            raise ValueError(f"holm: p-value {p} is not within 0..1; pass None where no test ran")
    if not tested:
        return list(p_values)
    # The smallest p-value counts for all tests, the next for one fewer, and none falls below an
    # earlier one. (statsmodels gives the same, and collects all garbage at each call.)
    order = np.argsort(tested, kind="stable")
    scaled = np.take(tested, order) * np.arange(len(tested), 0, -1)
    adjusted = np.empty(len(tested))
    adjusted[order] = np.minimum(np.maximum.accumulate(scaled), 1.0)
    found = iter(adjusted.tolist())
    return [None if p is None else next(found) for p in p_values]


def minimum_detectable_difference(
    n: int, discordant_rate: float, power: float = 0.8, level: float = 0.95
) -> float:
    """Return the smallest difference of two paired rates that a test with ``n`` pairs finds.

    Solves Connor's sample size formula for the difference d: with q the discordant rate,
    ``d * sqrt(n) = z_level * sqrt(q) + z_power * sqrt(q - d**2)``.

    Args:
        n: Number of independent pairs.
        discordant_rate: Share of pairs on which the two conditions differ, in (0, 1].
        power: Chance to find a difference of the returned size.
        level: One minus the two-sided significance level.

    Returns:
        The difference as a share in (0, 1], or NaN where even the largest possible one, which is
        ``discordant_rate``, would not be found with that power.

    Raises:
        ValueError: an argument is out of its range.

    Source: R. J. Connor, Biometrics 43 (1987).
    """
    if n < 1 or not 0 < discordant_rate <= 1 or not 0.5 <= power < 1 or not 0 < level < 1:
        raise ValueError(
            f"minimum_detectable_difference: n={n} must be 1 or more, discordant_rate="
            f"{discordant_rate} within (0, 1], power={power} within [0.5, 1) and level={level} "
            "within (0, 1)"
        )
    z_level, z_power = (float(stats.norm.ppf(q)) for q in ((1 + level) / 2, power))
    # Squared, the equation is quadratic in d; its larger root is the one with a positive left side.
    quadratic = n + z_power**2
    half_linear = z_level * math.sqrt(n * discordant_rate)
    constant = (z_level**2 - z_power**2) * discordant_rate
    root = half_linear**2 - quadratic * constant
    if root < 0:
        return math.nan
    difference = (half_linear + math.sqrt(root)) / quadratic
    return difference if difference <= discordant_rate else math.nan


def _scored_keys(a: Mapping[K, float | None], b: Mapping[K, float | None]) -> list[K]:
    # A fixed order of rows makes the seeded results independent of the order of the mappings.
    keys = sorted((key for key in a if _is_scored(a[key]) and _is_scored(b.get(key))), key=repr)
    if not keys:
        raise ValueError(
            f"paired_difference: of {len(a)} rows in a and {len(b)} in b, none is scored in both; "
            "check that the two conditions ran on the same samples"
        )
    return keys


def _is_scored(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _labels(keys: Sequence[K], clusters: Mapping[K, str]) -> list[str]:
    unknown = [key for key in keys if key not in clusters]
    if unknown:
        raise ValueError(
            f"paired_difference: row {unknown[0]!r} has no cluster ({len(unknown)} of {len(keys)} "
            "rows lack one); give each row its question or its category"
        )
    return [clusters[key] for key in keys]
