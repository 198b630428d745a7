"""Accuracy against k: what a selector is expected to get right with k of the N candidates.

Each function gives the mean over all C(N, k) subsets of size k, in closed form; ``weighted_at_k``
alone has none and averages over drawn subsets. At k = N each equals its selector in
``trimtab.stats.selection``, at k = 1 the share of correct candidates.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from trimtab.stats.reduce import pass_at_k
from trimtab.stats.selection import Candidates, weighted_vote

NUM_SUBSETS = 200


def oracle_at_k(problem: Candidates, k: int) -> float:
    """Return pass@k: the chance that k candidates hold a correct one."""
    return pass_at_k(len(problem.correct), sum(problem.correct), k)


def lowest_at_k(problem: Candidates, scores: Sequence[float], k: int) -> float | None:
    """Return the expectation of the lowest score among k candidates (best-of-k).

    The r-th of N in the order of scores is the best of C(N - r, k - 1) of the C(N, k) subsets;
    candidates with equal scores share what their ranks have together. Candidates without a score
    come last. None where no candidate has a score.

    Args:
        problem: The candidates.
        scores: One per candidate, lower is better; NaN where there is none, [N].
        k: Size of the subsets.

    Raises:
        ValueError: ``k`` is not within 1..N.
    """
    n = _check(problem, k)
    if all(math.isnan(score) for score in scores):
        return None
    by_score: dict[float, list[int]] = {}
    for index, score in enumerate(scores):
        by_score.setdefault(math.inf if math.isnan(score) else score, []).append(index)
    total, passed = 0.0, 0
    for score in sorted(by_score):
        tied = by_score[score]
        ahead = math.comb(n - passed, k) - math.comb(n - passed - len(tied), k)
        total += ahead * problem.share(tied)
        passed += len(tied)
    return total / math.comb(n, k)


def filtered_at_k(problem: Candidates, passes: Sequence[bool], k: int) -> float:
    """Return the expectation of a random choice among those of k candidates that pass a filter."""
    scores = [0.0 if passed else 1.0 for passed in passes]
    found = lowest_at_k(problem, scores, k)
    assert found is not None
    return found


def majority_at_k(problem: Candidates, k: int) -> float:
    """Return maj@k: the expectation of a majority vote among k candidates, ties included.

    An answer given by c of the N candidates wins with j votes in C(c, j) times the number of ways
    in which no other answer gets more; where t others get j too, it wins one time in t + 1. The
    ways are counted by polynomials in the number of other candidates drawn, in whole numbers.

    Raises:
        ValueError: ``k`` is not within 1..N.
    """
    n = _check(problem, k)
    groups = list(problem.groups().values())
    sizes = Counter(len(indices) for indices in groups)
    silent = [i for i, answer in enumerate(problem.answers) if answer is None]
    chance = {size: _chance_to_win(size, sizes, len(silent), k) for size in sizes}
    ways = [(chance[len(indices)], problem.share(indices)) for indices in groups]
    if len(silent) >= k:
        ways.append((Fraction(math.comb(len(silent), k)), problem.share(silent)))
    return math.fsum(float(way / math.comb(n, k)) * share for way, share in ways)


def _chance_to_win(size: int, sizes: Counter[int], silent: int, k: int) -> Fraction:
    """Return the number of k-subsets that one answer of ``size`` candidates wins, ties shared."""
    others = sizes - Counter([size])
    total = Fraction(0)
    for votes in range(1, min(size, k) + 1):
        # ways[t][d]: ways to draw d other candidates such that t answers tie and none has more
        ways = [[math.comb(silent, d) for d in range(k - votes + 1)]]
        for other, count in others.items():
            for _ in range(count):
                ways = _with_answer(ways, other, votes)
        won = sum(Fraction(drawn[k - votes], tied + 1) for tied, drawn in enumerate(ways))
        total += math.comb(size, votes) * won
    return total


def _with_answer(ways: list[list[int]], size: int, votes: int) -> list[list[int]]:
    """Return ``ways`` after one more answer, which gets fewer than ``votes`` or ties."""
    most = len(ways[0])
    ties = size >= votes
    grown = [[0] * most for _ in range(len(ways) + ties)]
    for tied, drawn in enumerate(ways):
        for have, count in enumerate(drawn):
            if not count:
                continue
            for more in range(min(size, votes - 1, most - 1 - have) + 1):
                grown[tied][have + more] += count * math.comb(size, more)
            if ties and have + votes < most:
                grown[tied + 1][have + votes] += count * math.comb(size, votes)
    return grown


def weighted_at_k(
    problem: Candidates, scores: Sequence[float], k: int, temperature: float, *, seed: int
) -> float | None:
    """Return the mean of the weighted vote over all k-subsets, or over 200 drawn ones if more.

    A vote weighted by scores has no closed form. Subsets whose candidates have no score are left
    out; None where that leaves none.

    Raises:
        ValueError: ``k`` is not within 1..N, or ``temperature`` is not positive.
    """
    n = _check(problem, k)
    subsets: list[tuple[int, ...]]
    if math.comb(n, k) <= NUM_SUBSETS:
        subsets = list(itertools.combinations(range(n), k))
    else:
        rng = np.random.Generator(np.random.PCG64([seed, k]))
        drawn = (rng.permutation(n)[:k] for _ in range(NUM_SUBSETS))
        subsets = [tuple(int(i) for i in sorted(chosen)) for chosen in drawn]
    found = []
    for chosen in subsets:
        some = Candidates(
            tuple(problem.correct[i] for i in chosen), tuple(problem.answers[i] for i in chosen)
        )
        value = weighted_vote(some, [scores[i] for i in chosen], temperature)
        if value is not None:
            found.append(value)
    return math.fsum(found) / len(found) if found else None


def _check(problem: Candidates, k: int) -> int:
    n = len(problem.correct)
    if not 1 <= k <= n:
        raise ValueError(f"k={k} is not within 1..{n}, the number of candidates")
    return n
