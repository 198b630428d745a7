"""Selectors and their subset expectations against enumeration of every choice and every subset."""

import itertools
import math
import random
from fractions import Fraction

import pytest

from trimtab.stats.intervals import cluster_bootstrap_ratio, wilson
from trimtab.stats.paired import mcnemar_exact
from trimtab.stats.selection import (
    Candidates,
    filtered,
    lowest,
    majority,
    oracle,
    pair_wins,
    random_choice,
    weighted_vote,
)
from trimtab.stats.subsets import (
    filtered_at_k,
    lowest_at_k,
    majority_at_k,
    oracle_at_k,
    weighted_at_k,
)


def a_problem(seed: int, n: int) -> tuple[Candidates, list[float]]:
    rng = random.Random(seed)
    answers = tuple(rng.choice([None, "1", "2", "3", "4"]) for _ in range(n))
    # labels that disagree within an answer occur in foreign dumps, so they occur here
    correct = tuple(rng.random() < (0.8 if a == "1" else 0.1) for a in answers)
    scores = [rng.choice([math.nan, 0.0, 0.5, 1.0, 2.0]) for _ in range(n)]
    return Candidates(correct, answers), scores


def slow_majority(correct: tuple[bool, ...], answers: tuple[str | None, ...]) -> Fraction:
    """Return the expectation by listing what each fair draw among tied answers would give."""
    votes = [a for a in answers if a is not None]
    if not votes:
        return Fraction(sum(correct), len(correct))
    most = max(votes.count(a) for a in votes)
    chances = []
    for answer in {a for a in votes if votes.count(a) == most}:
        own = [c for c, a in zip(correct, answers, strict=True) if a == answer]
        chances.append(Fraction(sum(own), len(own)))
    return sum(chances, Fraction(0)) / len(chances)


def subset(problem: Candidates, chosen: tuple[int, ...]) -> Candidates:
    return Candidates(
        tuple(problem.correct[i] for i in chosen), tuple(problem.answers[i] for i in chosen)
    )


@pytest.mark.parametrize("seed", range(40))
def test_expectations_over_subsets_equal_enumeration(seed: int) -> None:
    n = 1 + seed % 8
    problem, scores = a_problem(seed, n)
    passes = [not math.isnan(score) for score in scores]
    worst_last = [math.inf if math.isnan(s) else s for s in scores]
    for k in range(1, n + 1):
        subsets = list(itertools.combinations(range(n), k))
        some = [subset(problem, chosen) for chosen in subsets]

        slow = sum((slow_majority(s.correct, s.answers) for s in some), Fraction(0)) / len(some)
        assert majority_at_k(problem, k) == pytest.approx(float(slow), abs=1e-12)
        assert oracle_at_k(problem, k) == pytest.approx(
            sum(any(s.correct) for s in some) / len(some), abs=1e-12
        )
        best = []
        for chosen, s in zip(subsets, some, strict=True):
            own = [worst_last[i] for i in chosen]
            least = [i for i, x in enumerate(own) if x == min(own)]
            best.append(sum(s.correct[i] for i in least) / len(least))
        found = lowest_at_k(problem, scores, k)
        if any(passes):
            assert found == pytest.approx(sum(best) / len(best), abs=1e-12)
        else:
            assert found is None
        kept = [filtered(s, [passes[i] for i in c]) for s, c in zip(some, subsets, strict=True)]
        assert filtered_at_k(problem, passes, k) == pytest.approx(sum(kept) / len(kept), abs=1e-12)
        votes = [
            weighted_vote(s, [scores[i] for i in c], 0.7)
            for s, c in zip(some, subsets, strict=True)
        ]
        given = [v for v in votes if v is not None]
        at_k = weighted_at_k(problem, scores, k, 0.7, seed=1)
        assert (at_k is None) == (not given)
        if given:
            assert at_k == pytest.approx(sum(given) / len(given), abs=1e-12)


@pytest.mark.parametrize("seed", range(40))
def test_at_k_equal_to_n_is_the_selector_and_k_one_is_a_random_choice(seed: int) -> None:
    problem, scores = a_problem(seed, 9)
    assert majority_at_k(problem, 9) == pytest.approx(majority(problem), abs=1e-12)
    assert majority_at_k(problem, 1) == pytest.approx(random_choice(problem), abs=1e-12)
    assert oracle_at_k(problem, 9) == oracle(problem)
    if not all(map(math.isnan, scores)):
        assert lowest_at_k(problem, scores, 9) == pytest.approx(lowest(problem, scores), abs=1e-12)
        assert lowest_at_k(problem, scores, 1) == pytest.approx(random_choice(problem), abs=1e-12)


def test_majority_at_k_is_exact_for_many_candidates() -> None:
    # 64 candidates, 32 of them right and one wrong answer: a random walk that ends level in the
    # middle, so the chance is one half at every k by symmetry
    problem = Candidates((True, False) * 32, ("1", "2") * 32)
    assert [majority_at_k(problem, k) for k in (1, 2, 7, 32, 64)] == pytest.approx([0.5] * 5)


def test_ties_are_expectations_and_can_be_broken_by_order() -> None:
    problem = Candidates((False, True, False, True), ("7", "5", "7", "5"))
    assert majority(problem) == 0.5
    assert majority(problem, earliest=True) == 0.0
    # equal answers with different labels: the first candidate of the answer is the choice
    contradictory = Candidates((True, False, False), ("7", "7", "5"))
    assert majority(contradictory) == 0.5 and majority(contradictory, earliest=True) == 1.0
    assert contradictory.is_contradictory and not problem.is_contradictory
    assert majority(Candidates((False, True), (None, None)), earliest=True) == 0.0
    assert lowest(problem, [1.0, 1.0, 2.0, math.nan]) == 0.5
    assert lowest(problem, [math.nan] * 4) is None


def test_votes_are_weighted_by_energy_and_ignore_a_shift() -> None:
    problem = Candidates((False, False, True), ("7", "7", "5"))
    assert weighted_vote(problem, [0.0, 0.0, 0.0]) == 0.0
    assert weighted_vote(problem, [5.0, 5.0, 0.0]) == 1.0
    assert weighted_vote(problem, [5.0, 5.0, 0.0], temperature=100) == 0.0
    assert weighted_vote(problem, [1e6 + 5, 1e6 + 5, 1e6]) == 1.0
    assert weighted_vote(problem, [0.0, math.nan, math.log(2)]) == 0.0
    silent = Candidates((False, True), (None, None))
    assert weighted_vote(silent, [1.0, 0.0]) == 1.0


def test_pairs_within_a_problem_are_counted_by_hand() -> None:
    problem = Candidates((True, False, True, False), ("1", "2", "1", None))
    # right at 0 and 2, wrong at 1 and unscored
    assert pair_wins(problem, [0.0, 1.0, 1.0, math.nan]) == (1.5, 2)
    assert pair_wins(Candidates((True, True), ("1", "1")), [0.0, 1.0]) == (0.0, 0)


def test_published_figures() -> None:
    assert mcnemar_exact(132, 105) == pytest.approx(0.0910, abs=5e-5)
    found = wilson(692, 1319)
    assert (100 * found.low, 100 * found.high) == pytest.approx((49.8, 55.1), abs=0.05)
    assert 100 * wilson(0, 30).high == pytest.approx(11.4, abs=0.05)


def test_ratio_interval_covers_and_refuses_what_it_can_not_know() -> None:
    rng = random.Random(0)
    inside = 0
    for trial in range(60):
        bottoms = [float(rng.random() < 0.7) for _ in range(150)]
        tops = [0.4 * b + 0.3 * (rng.random() - 0.5) for b in bottoms]
        interval = cluster_bootstrap_ratio(
            tops, bottoms, list(range(150)), seed=trial, num_resamples=400
        )
        inside += interval.low <= 0.4 <= interval.high
    assert inside >= 50
    assert not cluster_bootstrap_ratio([1.0, 0.0], [0.0, 0.0], [0, 1], seed=0).is_defined
    assert not cluster_bootstrap_ratio([1.0], [1.0], [0], seed=0).is_defined
