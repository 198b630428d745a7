"""Bootstrap intervals of how well scores rank: whole clusters are drawn, and ranks made anew.

Shapes: B resamples of a block, N items, T groups of tied items.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from trimtab.stats.intervals import Clusters, Interval, undefined_interval
from trimtab.stats.resampling import resampled_weights

_Floats = npt.NDArray[np.float64]

_DEFINED = 0.9
"""Share of resamples in which the number must have a meaning; the others are left out."""


def auc_interval(
    scores: Sequence[float],
    labels: Sequence[bool | int],
    clusters: Clusters,
    *,
    seed: int,
    num_resamples: int = 2000,
    level: float = 0.95,
) -> Interval:
    """Return the percentile bootstrap interval of the area under the ROC curve.

    See ``agreement.auc`` for what it is. One cluster, or more than one resample of ten without a
    positive or a negative, gives an undefined interval.

    Raises:
        ValueError: unequal lengths.
    """
    _, group = np.unique(np.asarray(scores, dtype=np.float64), return_inverse=True)
    positive = np.asarray(labels, dtype=np.float64)

    def areas(weights_BN: _Floats) -> _Floats:
        right_BT = _by_group(weights_BN * positive, group)
        wrong_BT = _by_group(weights_BN * (1 - positive), group)
        wins = (right_BT * (wrong_BT.cumsum(1) - wrong_BT / 2)).sum(1)
        pairs = right_BT.sum(1) * wrong_BT.sum(1)
        return _ratio(wins, pairs)

    return _interval(areas, len(group), clusters, seed, num_resamples, level)


def rank_correlation_interval(
    a: Sequence[float],
    b: Sequence[float],
    clusters: Clusters,
    *,
    seed: int,
    num_resamples: int = 2000,
    level: float = 0.95,
) -> Interval:
    """Return the percentile bootstrap interval of Spearman's rank correlation.

    One cluster, or more than one resample of ten in which one of the two is constant, gives an
    undefined interval.

    Raises:
        ValueError: unequal lengths.
    """
    groups = [np.unique(np.asarray(x, dtype=np.float64), return_inverse=True)[1] for x in (a, b)]
    if len(groups[0]) != len(groups[1]):
        raise ValueError(f"{len(groups[0])} items against {len(groups[1])}")

    def correlations(weights_BN: _Floats) -> _Floats:
        total = weights_BN.sum(1, keepdims=True)
        centred = []
        for group in groups:
            size_BT = _by_group(weights_BN, group)
            rank_BN = (size_BT.cumsum(1) - size_BT / 2)[:, group]
            centred.append(rank_BN - (weights_BN * rank_BN).sum(1, keepdims=True) / total)
        one, other = centred
        both = (weights_BN * one * other).sum(1)
        spread = (weights_BN * one**2).sum(1) * (weights_BN * other**2).sum(1)
        return _ratio(both, np.sqrt(spread))

    return _interval(correlations, len(groups[0]), clusters, seed, num_resamples, level)


def _by_group(weights_BN: _Floats, group_N: npt.NDArray[np.intp]) -> _Floats:
    """Return the sum of the weights of each group of tied items [B, T], in rising order."""
    order = np.argsort(group_N, kind="stable")
    begins = np.flatnonzero(np.diff(group_N[order], prepend=-1))
    sums: _Floats = np.add.reduceat(weights_BN[:, order], begins, axis=1)
    return sums


def _ratio(numerator: _Floats, denominator: _Floats) -> _Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        found: _Floats = np.where(denominator > 0, numerator / denominator, np.nan)
    return found


def _interval(
    statistic: Callable[[_Floats], _Floats],
    num_items: int,
    clusters: Clusters,
    seed: int,
    num_resamples: int,
    level: float,
) -> Interval:
    """Return the quantiles of a statistic of how often each item was drawn."""
    _, codes = np.unique(np.asarray(clusters), return_inverse=True)
    if codes.size != num_items:
        raise ValueError(f"{num_items} items, but {codes.size} cluster labels: need one each")
    num_clusters = int(codes.max()) + 1
    if num_clusters == 1:
        return undefined_interval(level, "one cluster")
    blocks = resampled_weights(
        num_clusters, seed=seed, num_resamples=num_resamples, width=num_items
    )
    found = np.concatenate([statistic(weights_BC[:, codes]) for weights_BC in blocks])
    defined = found[~np.isnan(found)]
    if defined.size < _DEFINED * num_resamples:
        return undefined_interval(level, "it has no value in many resamples")
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    method = f"percentile bootstrap, {num_clusters} clusters, {num_resamples} resamples"
    return Interval(float(low), float(high), level, method)
