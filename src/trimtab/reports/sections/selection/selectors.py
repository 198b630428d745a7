"""Ways to choose one of several candidates, each with its chance of being right per problem."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from trimtab.reports.sections.selection.candidates import CandidateSet, Ranking
from trimtab.reports.sections.selection.content import Temperature
from trimtab.stats import selection as choose

RANDOM, MAJORITY, ORACLE = "random", "majority", "oracle"
FIRST_OF_TIES = "majority, ties to first"
# Temperatures of the weighted vote, in units of the spread of scores within a problem.
_TEMPERATURES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)

Values = dict[str, float]
"""Unit -> value."""


def selector_values(
    candidates: CandidateSet, temperatures: Mapping[str, Temperature]
) -> dict[str, Values]:
    """Return, per selector, the chance of each problem that the choice is right.

    A problem for which a selector has nothing to go by is left out of its values.
    """
    sets = candidates
    values: dict[str, Values] = {
        RANDOM: each(sets, lambda _, p: choose.random_choice(p)),
        "first": each(sets, lambda _, p: float(p.correct[0])),
    }
    if sets.greedy is not None:
        values["greedy"] = {unit: v for unit, v in sets.greedy.items() if unit in sets.problems}
    values[MAJORITY] = each(sets, lambda _, p: choose.majority(p))
    values[FIRST_OF_TIES] = each(sets, lambda _, p: choose.majority(p, earliest=True))
    for ranking in sets.rankings:
        values[best_by(ranking)] = each(
            sets, lambda unit, p, r=ranking: choose.lowest(p, r.scores[unit])
        )
        heat = temperatures[ranking.name].value
        values[vote_by(ranking)] = each(
            sets, lambda unit, p, r=ranking, t=heat: choose.weighted_vote(p, r.scores[unit], t)
        )
    values["format filter"] = each(sets, lambda unit, p: choose.filtered(p, sets.formatted[unit]))
    values["shortest"] = each(sets, lambda unit, p: choose.lowest(p, sets.lengths[unit]))
    values["longest"] = each(
        sets, lambda unit, p: choose.lowest(p, [-length for length in sets.lengths[unit]])
    )
    values[ORACLE] = each(sets, lambda _, p: choose.oracle(p))
    return {name: by_unit for name, by_unit in values.items() if by_unit}


def tests_among(rankings: int, *, greedy: bool) -> int:
    """Return how many selectors of so many rankings are compared with majority."""
    others = (RANDOM, "first", FIRST_OF_TIES, "format filter", "shortest", "longest", ORACLE)
    return len(others) + greedy + 2 * rankings


def best_by(ranking: Ranking) -> str:
    """Return the name of the selector that takes the best candidate of a ranking."""
    return f"{'highest' if ranking.sign < 0 else 'lowest'} {ranking.name}"


def vote_by(ranking: Ranking) -> str:
    """Return the name of the majority vote that is weighted by a ranking."""
    return f"vote by {ranking.name}"


def each(candidates: CandidateSet, value: Callable[..., float | None]) -> Values:
    """Return ``value(unit, problem)`` of each problem for which it is not None."""
    pairs = ((unit, value(unit, problem)) for unit, problem in candidates.problems.items())
    return {unit: known for unit, known in pairs if known is not None}


def temperature(ranking: Ranking, tuning: CandidateSet | None) -> Temperature:
    """Return the temperature of the vote, chosen on the select split where there is one."""
    peer = next((r for r in tuning.rankings if r.name == ranking.name), None) if tuning else None
    if tuning is None or peer is None:
        return Temperature(value=1.0, tuned_on="not tuned")
    spread = _spread(peer)
    if not spread:
        return Temperature(value=1.0, tuned_on="not tuned")
    accuracies = []
    for heat in _TEMPERATURES:
        votes = each(
            tuning,
            lambda u, p, t=heat: choose.weighted_vote(p, peer.scores[u], t * spread),
        )
        accuracies.append(math.fsum(votes.values()))
    value = _TEMPERATURES[int(np.argmax(accuracies))] * spread
    return Temperature(value=value, tuned_on="select split")


def _spread(ranking: Ranking) -> float:
    """Return the pooled standard deviation of scores around their problem's mean."""
    centred = [x for scores in ranking.scores.values() for x in _centred(scores)]
    return float(np.std(centred)) if centred else 0.0


def _centred(scores: Sequence[float]) -> list[float]:
    known = [score for score in scores if not math.isnan(score)]
    return [score - math.fsum(known) / len(known) for score in known]
