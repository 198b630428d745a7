"""How well two raters agree, and how well a score ranks positives above negatives."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Hashable, Sequence

import numpy as np
import numpy.typing as npt

from trimtab.stats.intervals import Clusters, Interval, undefined_interval
from trimtab.stats.resampling import resampled_sums


def agreement_rate(a: Sequence[Hashable], b: Sequence[Hashable]) -> float:
    """Return the share of items that two raters label alike.

    Raises:
        ValueError: no items, unequal lengths, or an item without a label (None).
    """
    _check_pairs("agreement_rate", a, b)
    return sum(x == y for x, y in zip(a, b, strict=True)) / len(a)


def cohen_kappa(a: Sequence[Hashable], b: Sequence[Hashable]) -> float | None:
    """Return Cohen's unweighted kappa of two raters' nominal labels, in [-1, 1].

    None where it is not defined: both raters use one and the same label throughout, so agreement
    by chance is already complete.

    Raises:
        ValueError: no items, unequal lengths, or an item without a label (None).

    Source: J. Cohen, Educ. Psychol. Meas. 20 (1960).
    """
    _check_pairs("cohen_kappa", a, b)
    n = len(a)
    counts_a, counts_b = Counter(a), Counter(b)
    num_agreed = sum(x == y for x, y in zip(a, b, strict=True))
    # In integers (times n squared), so that complete agreement by chance is recognised exactly.
    by_chance = sum(count * counts_b[label] for label, count in counts_a.items())
    if by_chance == n * n:
        return None
    return (num_agreed * n - by_chance) / (n * n - by_chance)


def kappa_interval(
    a: Sequence[bool | int],
    b: Sequence[bool | int],
    clusters: Clusters,
    *,
    seed: int,
    num_resamples: int = 2000,
    level: float = 0.95,
) -> Interval:
    """Return the percentile bootstrap interval of Cohen's kappa of two binary raters.

    Whole clusters are drawn, and resamples in which kappa is not defined are left out. One cluster,
    or more than one such resample of ten, gives an undefined interval.

    Raises:
        ValueError: no items, unequal lengths, an item without a label or without a cluster.
    """
    _check_pairs("kappa_interval", a, b)
    _, codes = np.unique(np.asarray(clusters), return_inverse=True)
    if codes.size != len(a):
        raise ValueError(f"kappa_interval: {len(a)} items, but {codes.size} clusters")
    cells = 2 * np.asarray(a, dtype=np.int64) + np.asarray(b, dtype=np.int64)
    num_clusters = int(codes.max()) + 1
    if num_clusters == 1:
        return undefined_interval(level, "one cluster")
    table = np.zeros((num_clusters, 4))
    np.add.at(table, (codes, cells), 1)
    drawn = resampled_sums(table, seed=seed, num_resamples=num_resamples)
    n = drawn.sum(1)
    agreed = (drawn[:, 0] + drawn[:, 3]) / n
    yes_a, yes_b = (drawn[:, 2] + drawn[:, 3]) / n, (drawn[:, 1] + drawn[:, 3]) / n
    by_chance = yes_a * yes_b + (1 - yes_a) * (1 - yes_b)
    defined = by_chance < 1
    if defined.mean() < 0.9:
        return undefined_interval(level, "a rater says the same of nearly everything")
    kappas = (agreed[defined] - by_chance[defined]) / (1 - by_chance[defined])
    low, high = np.quantile(kappas, [(1 - level) / 2, (1 + level) / 2])
    method = f"percentile bootstrap, {num_clusters} clusters, {num_resamples} resamples"
    return Interval(float(low), float(high), level, method)


def weighted_kappa(a: Sequence[float], b: Sequence[float]) -> float | None:
    """Return Cohen's kappa of two raters' grades, weighted by their squared distance, in [-1, 1].

    It equals Lin's concordance correlation. None where it is not defined: both raters give one and
    the same grade throughout.

    Raises:
        ValueError: no items, unequal lengths, or an item without a grade (None).

    Source: J. Cohen, Psychol. Bull. 70 (1968).
    """
    _check_pairs("weighted_kappa", a, b)
    (kappa,) = _weighted_kappas(_moments(a, b).sum(0)[None])
    return None if math.isnan(kappa) else float(kappa)


def weighted_kappa_interval(
    a: Sequence[float],
    b: Sequence[float],
    clusters: Clusters,
    *,
    seed: int,
    num_resamples: int = 2000,
    level: float = 0.95,
) -> Interval:
    """Return the percentile bootstrap interval of ``weighted_kappa``, drawing whole clusters.

    Resamples in which it is not defined are left out, as in ``kappa_interval``.

    Raises:
        ValueError: no items, unequal lengths, an item without a grade or without a cluster.
    """
    _check_pairs("weighted_kappa_interval", a, b)
    _, codes = np.unique(np.asarray(clusters), return_inverse=True)
    if codes.size != len(a):
        raise ValueError(f"weighted_kappa_interval: {len(a)} items, but {codes.size} clusters")
    moments = np.zeros((int(codes.max()) + 1, 5))
    np.add.at(moments, codes, _moments(a, b))
    if len(moments) == 1:
        return undefined_interval(level, "one cluster")
    kappas = _weighted_kappas(
        resampled_sums(moments, seed=seed, num_resamples=num_resamples),
    )
    defined = kappas[~np.isnan(kappas)]
    if defined.size < 0.9 * num_resamples:
        return undefined_interval(level, "raters give nearly everything one grade")
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    method = f"percentile bootstrap, {len(moments)} clusters, {num_resamples} resamples"
    return Interval(float(low), float(high), level, method)


def _moments(a: Sequence[float], b: Sequence[float]) -> npt.NDArray[np.float64]:
    """Return per item: one, both grades, their squared distance, and the sum of their squares.

    Grades are taken from their common mean, so that squares lose no digits.
    """
    grades_2N = np.asarray([a, b], dtype=np.float64)
    a_N, b_N = grades_2N - grades_2N.mean()
    return np.stack([np.ones_like(a_N), a_N, b_N, (a_N - b_N) ** 2, a_N**2 + b_N**2], axis=1)


def _weighted_kappas(sums_RK: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the kappa of each line of summed moments [R]; NaN where it is not defined."""
    n, a, b, apart, squares = sums_RK.T
    # the mean squared distance of every grade of one rater to every grade of the other
    by_chance = squares / n - 2 * (a / n) * (b / n)
    with np.errstate(divide="ignore", invalid="ignore"):
        kappas: npt.NDArray[np.float64] = np.where(
            by_chance > 1e-12, 1 - (apart / n) / by_chance, np.nan
        )
    return kappas


def krippendorff_alpha(ratings: Sequence[Sequence[Hashable | None]]) -> float | None:
    """Return Krippendorff's alpha of any number of raters with nominal labels; None is no label.

    An item with fewer than two labels has no part in it. None where it is not defined: no item
    has two labels, or one and the same label is used throughout.

    Args:
        ratings: For each item, the label that each rater gave.

    Source: K. Krippendorff, Content Analysis (2004), chapter 11.
    """
    coincidences: defaultdict[tuple[Hashable, Hashable], float] = defaultdict(float)
    for item, count in Counter(map(tuple, ratings)).items():
        labels = [label for label in item if label is not None]
        for i, one in enumerate(labels):
            for j, other in enumerate(labels):
                if i != j:
                    coincidences[one, other] += count / (len(labels) - 1)
    totals: defaultdict[Hashable, float] = defaultdict(float)
    for (one, _), weight in coincidences.items():
        totals[one] += weight
    n = sum(totals.values())
    if len(totals) < 2:
        return None
    observed = sum(w for (one, other), w in coincidences.items() if one != other)
    expected = (n * n - sum(t * t for t in totals.values())) / (n - 1)
    return 1 - observed / expected


def auc(scores: Sequence[float], labels: Sequence[bool | int]) -> float | None:
    """Return the area under the ROC curve: the chance that a positive outranks a negative.

    Ties count one half. Higher scores are taken to mean positive.

    Args:
        scores: One finite number per item.
        labels: True or 1 for positives, False or 0 for negatives.

    Returns:
        The area in [0, 1], or None where one of the two classes is absent.

    Raises:
        ValueError: no items, unequal lengths, a score that is not finite or another label.
    """
    _check_pairs("auc", scores, labels)
    for score in scores:
        if not math.isfinite(score):
            raise ValueError(f"auc: score {score} is not finite; drop and count missing rows first")
    for label in labels:
        if label not in (0, 1):
            raise ValueError(f"auc: label {label!r} is neither 0/False nor 1/True")
    positive = np.asarray(labels, dtype=bool)
    num_positive = int(positive.sum())
    num_negative = positive.size - num_positive
    if num_positive == 0 or num_negative == 0:
        return None
    wins = float(_ranks(scores)[positive].sum()) - num_positive * (num_positive + 1) / 2
    return wins / (num_positive * num_negative)


def rank_correlation(a: Sequence[float], b: Sequence[float]) -> float:
    """Return Spearman's rank correlation of two sequences, neither of them constant."""
    return float(np.corrcoef(_ranks(a), _ranks(b))[0, 1])


def _ranks(values: Sequence[float]) -> npt.NDArray[np.float64]:
    """Return ranks from 1; equal values share the mean of theirs."""
    _, place, counts = np.unique(
        np.asarray(values, dtype=np.float64), return_inverse=True, return_counts=True
    )
    ranks: npt.NDArray[np.float64] = (np.cumsum(counts) - (counts - 1) / 2)[place]
    return ranks


def _check_pairs(who: str, a: Sequence[Hashable], b: Sequence[Hashable]) -> None:
    if len(a) != len(b):
        raise ValueError(f"{who}: {len(a)} items against {len(b)}; both must name the same items")
    if not a:
        raise ValueError(f"{who}: no items")
    for index, pair in enumerate(zip(a, b, strict=True)):
        if None in pair:
            raise ValueError(f"{who}: item {index} has no value; drop and count missing rows first")
