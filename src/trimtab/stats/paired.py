"""Two conditions on the same rows: difference, interval, p-value, correction."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import numpy.typing as npt

from trimtab.core.lazy import lazy
from trimtab.stats.intervals import Clusters, Interval, bootstrap_means, cluster_totals
from trimtab.stats.resampling import extreme_flips

if TYPE_CHECKING:
    from scipy import special
else:
    special = lazy("scipy.special")

K = TypeVar("K", bound=Hashable)

MCNEMAR = "exact McNemar"

# Up to this many clusters all 2**C sign patterns are tried (4096 at 12).
_MAX_EXACT_CLUSTERS = 12


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
    labels = list(range(len(keys))) if clusters is None else _labels(keys, clusters)
    values = np.array([(a[key], b[key]) for key in keys], dtype=np.float64)
    pairs = Pairs(values, labels, len({*a, *b}) - len(keys))
    return paired_differences(
        [pairs], seed=seed, num_resamples=num_resamples, num_flips=num_flips, level=level
    )[0]


@dataclass(frozen=True)
class Pairs:
    """Two conditions on the rows that both scored.

    Attributes:
        values: Value of each row in both, [n, 2].
        clusters: Cluster of each row, all strings or all integers.
        num_dropped: Rows that are missing in either.
    """

    values: npt.NDArray[np.float64]
    clusters: Clusters
    num_dropped: int = 0


def paired_differences(
    pairs: Sequence[Pairs],
    *,
    seed: int,
    num_resamples: int = 2000,
    num_flips: int = 10_000,
    level: float = 0.95,
) -> list[PairedDifference]:
    """Return ``paired_difference`` of many comparisons, which share their draws.

    Beyond rounding, a comparison does not depend on what it is computed beside.
    """
    differences = [pair.values[:, 0] - pair.values[:, 1] for pair in pairs]
    totals = [
        cluster_totals(change, pair.clusters)
        for change, pair in zip(differences, pairs, strict=True)
    ]
    intervals = bootstrap_means(totals, seed=seed, num_resamples=num_resamples, level=level)
    binary = [
        sums.size == len(pair.values) and bool(np.isin(pair.values, (0.0, 1.0)).all())
        for (sums, _), pair in zip(totals, pairs, strict=True)
    ]
    flipped = [i for i, (sums, _) in enumerate(totals) if sums.size > 1 and not binary[i]]
    columns = [totals[i][0] for i in flipped]
    tested = dict(
        zip(flipped, sign_flip_tests(columns, seed=seed, num_flips=num_flips), strict=True)
    )
    found = []
    for i, (change, pair) in enumerate(zip(differences, pairs, strict=True)):
        n, num_clusters = len(change), int(totals[i][0].size)
        wins, losses = int((change > 0).sum()), int((change < 0).sum())
        p_value, test = tested.get(i, (None, "none: one cluster"))
        if binary[i] and num_clusters > 1:
            p_value, test = mcnemar_exact(wins, losses), MCNEMAR
        found.append(
            PairedDifference(
                n=n,
                num_clusters=num_clusters,
                mean=math.fsum(change.tolist()) / n,
                interval=intervals[i],
                p_value=p_value,
                test=test,
                wins=wins,
                losses=losses,
                ties=n - wins - losses,
                num_dropped=pair.num_dropped,
            )
        )
    return found


def mcnemar_exact(b: int, c: int) -> float:
    """Return the two-sided exact McNemar p-value of ``b`` against ``c`` discordant pairs.

    Under the null hypothesis ``b`` is binomial(b + c, 1/2). No discordant pair gives 1.0.

    Raises:
        ValueError: a count is negative.
    """
    if b < 0 or c < 0:
        raise ValueError(f"mcnemar_exact: counts b={b}, c={c} can't be negative")
    return 1.0 if b + c == 0 else min(1.0, 2 * float(special.bdtr(min(b, c), b + c, 0.5)))


def sign_flip_test(
    cluster_sums: npt.ArrayLike, *, seed: int, num_flips: int = 10_000
) -> tuple[float, str]:
    """Test that the sum of differences is zero by flipping the sign of each cluster.

    Clusters whose sum is zero can't change the statistic. With at most 12 others all sign patterns
    are enumerated; else ``num_flips`` random ones are drawn and the observed one is counted among
    them, so that p is never zero (Phipson and Smyth, 2010).

    Args:
        cluster_sums: Sum of the paired differences of each cluster, [C].
        seed: Seed of numpy's PCG64; a stream of its own, apart from the bootstrap's.
        num_flips: Number of random sign patterns.

    Returns:
        The two-sided p-value and the name of the test.

    Raises:
        ValueError: ``num_flips`` is less than 1.
    """
    column = np.asarray(cluster_sums, dtype=np.float64)
    return sign_flip_tests([column], seed=seed, num_flips=num_flips)[0]


def sign_flip_tests(
    columns: Sequence[npt.NDArray[np.float64]], *, seed: int, num_flips: int = 10_000
) -> list[tuple[float, str]]:
    """Return ``sign_flip_test`` of many columns of cluster sums, which share their draws."""
    if num_flips < 1:
        raise ValueError(f"sign_flip_test: num_flips={num_flips}, needs 1 or more")
    found: dict[int, tuple[float, str]] = {}
    alike: dict[int, list[int]] = defaultdict(list)
    for index, sums in enumerate(columns):
        if np.count_nonzero(sums) <= _MAX_EXACT_CLUSTERS:
            found[index] = _all_flips(sums[sums != 0]), "exact sign flips of clusters"
        else:
            alike[sums.size].append(index)
    for indices in alike.values():
        table = np.stack([columns[index] for index in indices], axis=1)
        extreme = extreme_flips(table, seed=seed, num_flips=num_flips)
        for index, count in zip(indices, extreme.tolist(), strict=True):
            p_value = (1 + count) / (1 + num_flips)
            found[index] = p_value, f"{num_flips} random sign flips of clusters"
    return [found[index] for index in range(len(columns))]


def _all_flips(sums: npt.NDArray[np.float64]) -> float:
    """Return the share of all sign patterns whose sum is as far from zero as the observed one."""
    # Patterns that tie with the observed one must count in spite of rounding.
    threshold = abs(float(sums.sum())) - 1e-9 * float(np.abs(sums).sum())
    bits = np.arange(2**sums.size)[:, None] >> np.arange(sums.size) & 1
    return float(np.mean(np.abs((1 - 2 * bits) @ sums) >= threshold))


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
