"""Choosing one of N candidates: what each way of choosing is expected to get right.

A selector gives, for one problem, the probability that its choice is correct. Ties are not broken
by order: a selector that can't tell candidates apart takes each with equal probability, and what is
returned is the expectation. N is written for the number of candidates.

``NaN`` marks a candidate without a score: it is chosen only if no candidate has one, and then the
problem has no value (None), which is counted and is not 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from trimtab.stats.reduce import log_sum_exp


@dataclass(frozen=True)
class Candidates:
    """The candidates of one problem, in the order of their index.

    Attributes:
        correct: Whether each is right, [N].
        answers: The answer each gives, in a form in which equal answers are equal; None for none.
    """

    correct: tuple[bool, ...]
    answers: tuple[str | None, ...]

    def __post_init__(self) -> None:
        """Refuse an empty set and unequal lengths; raise ValueError."""
        if not self.correct or len(self.correct) != len(self.answers):
            raise ValueError(
                f"Candidates: {len(self.correct)} labels and {len(self.answers)} answers; "
                "give one of each per candidate, and at least one candidate"
            )

    def groups(self) -> dict[str, list[int]]:
        """Return the indices of the candidates that give each answer, first given first."""
        found: dict[str, list[int]] = {}
        for index, answer in enumerate(self.answers):
            if answer is not None:
                found.setdefault(answer, []).append(index)
        return found

    @property
    def is_contradictory(self) -> bool:
        """Whether equal answers have different labels."""
        return any(0 < self.share(indices) < 1 for indices in self.groups().values())

    def share(self, indices: Sequence[int]) -> float:
        """Return the share of correct ones among the candidates at ``indices``."""
        return math.fsum(self.correct[index] for index in indices) / len(indices)


def random_choice(problem: Candidates) -> float:
    """Return the share of correct candidates: the exact expectation of a random choice."""
    return problem.share(range(len(problem.correct)))


def oracle(problem: Candidates) -> float:
    """Return 1 where any candidate is correct."""
    return float(any(problem.correct))


def majority(problem: Candidates, *, earliest: bool = False) -> float:
    """Return the expectation of the most frequent answer; candidates without one do not vote.

    Where nobody votes, a random candidate is taken.

    Args:
        problem: The candidates.
        earliest: Take the first candidate that gives the answer, and break ties for the answer
            that was given first, as much published code does, instead of expectations over them:
            the value is 0 or 1, also where equal answers have different labels.

    Source: Wang et al. 2022, self-consistency (arXiv 2203.11171).
    """
    groups = problem.groups()
    if not groups:
        return float(problem.correct[0]) if earliest else random_choice(problem)
    most = max(len(indices) for indices in groups.values())
    tied = [indices for indices in groups.values() if len(indices) == most]
    if earliest:
        return float(problem.correct[tied[0][0]])
    return math.fsum(problem.share(indices) for indices in tied) / len(tied)


def lowest(problem: Candidates, scores: Sequence[float]) -> float | None:
    """Return the expectation of a choice among the candidates with the lowest score.

    Args:
        problem: The candidates.
        scores: One per candidate, lower is better; NaN where there is none, [N].

    Returns:
        None where no candidate has a score.
    """
    scored = [(score, i) for i, score in enumerate(scores) if not math.isnan(score)]
    if not scored:
        return None
    least = min(scored)[0]
    return problem.share([i for score, i in scored if score == least])


def weighted_vote(
    problem: Candidates, scores: Sequence[float], temperature: float = 1.0
) -> float | None:
    """Return the expectation of a vote in which each candidate has weight exp(-score / T).

    Weights are normalised within the problem, so adding a number to all scores changes nothing.
    Candidates without a score do not vote; where no scored candidate has an answer, the one with
    the lowest score is taken.

    Args:
        problem: The candidates.
        scores: One per candidate, lower is better; NaN where there is none, [N].
        temperature: T above, in the unit of the scores.

    Raises:
        ValueError: ``temperature`` is not positive.
    """
    if not temperature > 0:
        raise ValueError(f"weighted_vote: temperature={temperature} must be positive")
    weights: list[tuple[float, list[int]]] = []
    for indices in problem.groups().values():
        voting = [i for i in indices if not math.isnan(scores[i])]
        if voting:
            total = log_sum_exp(sorted(-scores[i] / temperature for i in voting))
            weights.append((total, voting))
    if not weights:
        return lowest(problem, scores)
    most = max(weight for weight, _ in weights)
    tied = [problem.share(i) for weight, i in weights if math.isclose(weight, most, rel_tol=1e-12)]
    return math.fsum(tied) / len(tied)


def filtered(problem: Candidates, passes: Sequence[bool]) -> float:
    """Return the expectation of a random choice among those that pass, or of all if none does."""
    kept = [i for i, passed in enumerate(passes) if passed]
    return problem.share(kept) if kept else random_choice(problem)


def pair_wins(problem: Candidates, scores: Sequence[float]) -> tuple[float, int]:
    """Return (pairs ordered right, pairs) over the problem's pairs of a right and a wrong one.

    A pair is ordered right if the right candidate has the lower score; a tie counts one half.
    Candidates without a score are left out. The sum of the first over the sum of the second is the
    within-problem AUC: unlike the pooled one it can't be earned by telling easy problems from hard.
    """
    scored = [(s, ok) for s, ok in zip(scores, problem.correct, strict=True) if not math.isnan(s)]
    right = [score for score, ok in scored if ok]
    wrong = [score for score, ok in scored if not ok]
    wins = sum((good < bad) + 0.5 * (good == bad) for good in right for bad in wrong)
    return float(wins), len(right) * len(wrong)
