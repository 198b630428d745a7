"""From many values to one, with the missing ones counted."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence


def mean_of(values: Iterable[float | None]) -> tuple[float | None, int, int]:
    """Return (mean of the scored values, number scored, number missing).

    None, NaN and infinities are missing: counted, never taken as 0. The mean is None where nothing
    is scored, and does not depend on the order of the values (exactly rounded sum).
    """
    scored: list[float] = []
    num_missing = 0
    for value in values:
        if value is None or not math.isfinite(value):
            num_missing += 1
        else:
            scored.append(value)
    mean = math.fsum(scored) / len(scored) if scored else None
    return mean, len(scored), num_missing


def log_sum_exp(values: Sequence[float]) -> float:
    """Return log(sum(exp(values))) of at least one finite value, whatever their size and order."""
    top = max(values)
    return top + math.log(math.fsum(math.exp(value - top) for value in values))


def pass_at_k(n: int, c: int, k: int) -> float:
    """Return the unbiased estimate of pass@k: the chance that k of n samples hold a correct one.

    ``1 - C(n - c, k) / C(n, k)``, the mean over all subsets of size k, in exact integers.

    Args:
        n: Number of samples drawn for the problem.
        c: Number of them that are correct.
        k: Size of the subset.

    Raises:
        ValueError: not ``1 <= k <= n``, or not ``0 <= c <= n``.

    Source: Chen et al. 2021 (arXiv 2107.03374), eq. 1.
    """
    if not 1 <= k <= n:
        raise ValueError(f"pass_at_k: k={k} is not within 1..n={n}; draw more samples or lower k")
    if not 0 <= c <= n:
        raise ValueError(f"pass_at_k: c={c} correct samples is not within 0..n={n}")
    num_subsets = math.comb(n, k)
    return (num_subsets - math.comb(n - c, k)) / num_subsets
