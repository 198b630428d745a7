"""How well two raters agree, and how well a score ranks positives above negatives."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Sequence

import numpy as np
from scipy import stats


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
    ranks = stats.rankdata(np.asarray(scores, dtype=np.float64))
    wins = float(ranks[positive].sum()) - num_positive * (num_positive + 1) / 2
    return wins / (num_positive * num_negative)


def _check_pairs(who: str, a: Sequence[Hashable], b: Sequence[Hashable]) -> None:
    if len(a) != len(b):
        raise ValueError(f"{who}: {len(a)} items against {len(b)}; both must name the same items")
    if not a:
        raise ValueError(f"{who}: no items")
    for index, pair in enumerate(zip(a, b, strict=True)):
        if None in pair:
            raise ValueError(f"{who}: item {index} has no value; drop and count missing rows first")
