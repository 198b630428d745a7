"""What choosing among N candidates gains: every selector against random and against majority."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from trimtab.reports.data.statistics import CONFIDENCE, compare, correct, estimate, seed_for
from trimtab.reports.sections.selection.candidates import CandidateSet, Ranking
from trimtab.reports.sections.selection.rankings import ACCURACY, ablations, rankings
from trimtab.stats import selection as choose
from trimtab.stats import subsets
from trimtab.stats.intervals import Interval, cluster_bootstrap_ratio
from trimtab.stats.paired import mcnemar_exact
from trimtab.stats.selection import Candidates

FIRST_OF_TIES = "majority, ties to first"
# Temperatures of the weighted vote, in units of the spread of scores within a problem.
_TEMPERATURES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)

Values = dict[str, float]


def summarise_sets(sets: Sequence[CandidateSet], seed: int) -> list[dict[str, Any]]:
    """Return the numbers of each set; the weighted votes of a test set are tuned on its select set.

    Returns:
        Per set: counts, ``selectors`` (accuracy, differences, gap recovered), ``curves`` (accuracy
        against k), ``rankings`` (AUC, calibration, histograms, points), ``ablations`` of them and
        ``difficulty``.
    """
    tuning = next((s for s in sets if s.split == "select" and s.problems), None)
    return [_set(made, tuning if made.split == "test" else None, seed) for made in sets]


def _set(made: CandidateSet, tuning: CandidateSet | None, seed: int) -> dict[str, Any]:
    temperatures = {r.name: _temperature(r, tuning) for r in made.rankings}
    values = selector_values(made, {name: found[0] for name, found in temperatures.items()})
    own = seed_for(seed, "selection", made.measure, made.condition)
    return {
        "measure": made.measure,
        "condition": made.condition,
        "split": made.split,
        "candidates": made.num_candidates,
        "problems": len(made.problems),
        "incomplete": made.num_planned - len(made.problems),
        "completions": made.num_completions,
        "truncated": made.truncated,
        "no_answer": made.rules.get("none", 0),
        "rules": dict(sorted(made.rules.items())),
        "labeller": made.labeller,
        "disagreeing": made.disagreeing and list(made.disagreeing),
        "mixed": sum(0 < sum(p.correct) < len(p.correct) for p in made.problems.values()),
        "temperatures": {n: {"value": t, "from": where} for n, (t, where) in temperatures.items()},
        "selectors": _selectors(made, values, own),
        "curves": _curves(made, {n: t for n, (t, _) in temperatures.items()}, own),
        "rankings": rankings(made, own),
        "ablations": ablations(made, own),
        "selectors_by_ranking": [best_by(ranking) for ranking in made.rankings],
        "difficulty": _difficulty(values),
    }


def selector_values(made: CandidateSet, temperatures: Mapping[str, float]) -> dict[str, Values]:
    """Return, per selector, the chance of each problem that the choice is right.

    A problem for which a selector has nothing to go by is left out of its values.
    """
    found: dict[str, Values] = {
        "random": _each(made, lambda _, p: choose.random_choice(p)),
        "first": _each(made, lambda _, p: float(p.correct[0])),
    }
    if made.greedy is not None:
        found["greedy"] = {unit: v for unit, v in made.greedy.items() if unit in made.problems}
    found["majority"] = _each(made, lambda _, p: choose.majority(p))
    found[FIRST_OF_TIES] = _each(made, lambda _, p: choose.majority(p, earliest=True))
    for ranking in made.rankings:
        found[best_by(ranking)] = _each(
            made, lambda unit, p, r=ranking: choose.lowest(p, r.scores[unit])
        )
        heat = temperatures[ranking.name]
        found[f"vote by {ranking.name}"] = _each(
            made, lambda unit, p, r=ranking, t=heat: choose.weighted_vote(p, r.scores[unit], t)
        )
    found["format filter"] = _each(made, lambda unit, p: choose.filtered(p, made.formatted[unit]))
    found["shortest"] = _each(made, lambda unit, p: choose.lowest(p, made.lengths[unit]))
    found["longest"] = _each(
        made, lambda unit, p: choose.lowest(p, [-length for length in made.lengths[unit]])
    )
    found["oracle"] = _each(made, lambda _, p: choose.oracle(p))
    return {name: values for name, values in found.items() if values}


def best_by(ranking: Ranking) -> str:
    """Return the name of the selector that takes the best candidate of a ranking."""
    return f"{'highest' if ranking.sign < 0 else 'lowest'} {ranking.name}"


def _each(made: CandidateSet, value: Callable[..., float | None]) -> Values:
    pairs = ((unit, value(unit, problem)) for unit, problem in made.problems.items())
    return {unit: found for unit, found in pairs if found is not None}


def _temperature(ranking: Ranking, tuning: CandidateSet | None) -> tuple[float, str]:
    """Return the temperature of the vote, chosen on the select split where there is one."""
    peer = next((r for r in tuning.rankings if r.name == ranking.name), None) if tuning else None
    if tuning is None or peer is None:
        return 1.0, "not tuned"
    spread = _spread(peer)
    if not spread:
        return 1.0, "not tuned"
    accuracies = []
    for heat in _TEMPERATURES:
        votes = _each(
            tuning,
            lambda u, p, t=heat: choose.weighted_vote(p, peer.scores[u], t * spread),
        )
        accuracies.append(math.fsum(votes.values()))
    return _TEMPERATURES[int(np.argmax(accuracies))] * spread, "select split"


def _spread(ranking: Ranking) -> float:
    """Return the pooled standard deviation of scores around their problem's mean."""
    centred = [x for scores in ranking.scores.values() for x in _centred(scores)]
    return float(np.std(centred)) if centred else 0.0


def _centred(scores: Sequence[float]) -> list[float]:
    known = [score for score in scores if not math.isnan(score)]
    return [score - math.fsum(known) / len(known) for score in known]


def _selectors(made: CandidateSet, values: dict[str, Values], seed: int) -> list[dict[str, Any]]:
    rows = []
    for name, own in values.items():
        row: dict[str, Any] = {
            "selector": name,
            "n": len(own),
            "right": math.fsum(own.values()),
            **estimate(own, made.clusters, ACCURACY, seed),
        }
        for reference in ("random", "majority"):
            if name != reference:
                against = seed_for(seed, name, reference)
                row[f"vs_{reference}"] = compare(own, values[reference], made.clusters, against)
        row["mcnemar"] = _mcnemar(own, values[FIRST_OF_TIES], made.clusters)
        row["gap"] = _gap(own, values, made.clusters, seed)
        rows.append(row)
    for reference in ("random", "majority"):
        correct([r[f"vs_{reference}"] for r in rows if r.get(f"vs_{reference}")])
    return rows


def _mcnemar(own: Values, majority: Values, clusters: Mapping[str, str]) -> dict[str, Any] | None:
    """Return the exact test against a majority vote without ties; None where it has no meaning.

    That is where a choice is an expectation and not a choice, and where problems share a cluster.
    """
    pairs = [(own[unit], majority[unit]) for unit in own if unit in majority]
    single = len({clusters[unit] for unit in own}) == len(own)
    if own is majority or not single or any(v not in (0.0, 1.0) for pair in pairs for v in pair):
        return None
    wins, losses = sum(a > b for a, b in pairs), sum(a < b for a, b in pairs)
    return {"wins": wins, "losses": losses, "p": mcnemar_exact(wins, losses)}


def _gap(
    own: Values, values: dict[str, Values], clusters: Mapping[str, str], seed: int
) -> dict[str, Any] | None:
    """Return (selector - random) / (oracle - random); None where nothing is to be gained."""
    units = [unit for unit in own if unit in values["random"]]
    gained = [own[unit] - values["random"][unit] for unit in units]
    possible = [values["oracle"][unit] - values["random"][unit] for unit in units]
    if not units or math.fsum(possible) <= 0:
        return None
    found = cluster_bootstrap_ratio(
        gained, possible, [clusters[unit] for unit in units], seed=seed, level=CONFIDENCE
    )
    return {"mean": math.fsum(gained) / math.fsum(possible), "interval": _bounds(found)}


def _bounds(interval: Interval) -> list[float] | None:
    return [interval.low, interval.high] if interval.is_defined else None


def sizes_of(num_candidates: int) -> list[int]:
    """Return the k of the curves: powers of two below N, and N."""
    powers = [2**i for i in range(num_candidates.bit_length()) if 2**i < num_candidates]
    return [*powers, num_candidates]


def _curves(
    made: CandidateSet, temperatures: Mapping[str, float], seed: int
) -> dict[str, list[dict[str, Any]]]:
    at_k: dict[str, Callable[[str, Candidates, int], float | None]] = {
        "random": lambda _, p, _k: choose.random_choice(p),
        "majority": lambda _, p, k: subsets.majority_at_k(p, k),
        "oracle": lambda _, p, k: subsets.oracle_at_k(p, k),
        "format filter": lambda u, p, k: subsets.filtered_at_k(p, made.formatted[u], k),
        "shortest": lambda u, p, k: subsets.lowest_at_k(p, made.lengths[u], k),
        "longest": lambda u, p, k: subsets.lowest_at_k(p, [-x for x in made.lengths[u]], k),
    }
    for ranking in made.rankings:
        at_k[best_by(ranking)] = partial(_best_at_k, ranking.scores)
        heat = temperatures[ranking.name]
        at_k[f"vote by {ranking.name}"] = partial(_vote_at_k, ranking.scores, heat, seed)
    return {
        name: [
            {"k": k, **estimate(values, made.clusters, ACCURACY, seed)}
            for k in sizes_of(made.num_candidates)
            for values in [_each(made, lambda u, p, f=curve, size=k: f(u, p, size))]
        ]
        for name, curve in at_k.items()
    }


def _best_at_k(
    scores: Mapping[str, Sequence[float]], unit: str, problem: Candidates, k: int
) -> float | None:
    return subsets.lowest_at_k(problem, scores[unit], k)


def _vote_at_k(
    scores: Mapping[str, Sequence[float]],
    heat: float,
    seed: int,
    unit: str,
    problem: Candidates,
    k: int,
) -> float | None:
    own = seed_for(seed, unit)
    return subsets.weighted_at_k(problem, scores[unit], k, heat, seed=own)


def _difficulty(values: dict[str, Values]) -> list[dict[str, Any]]:
    """Return each selector's gain over random, by the share of right candidates of a problem."""
    edges = ((0.0, 0.25), (0.25, 0.5), (0.5, 0.75), (0.75, 1.0))
    shares = values["random"]
    bins: list[tuple[str, list[str]]] = [("none right", [u for u in shares if shares[u] == 0])]
    for low, high in edges:
        inside = [u for u in shares if low < shares[u] <= high and shares[u] < 1]
        bins.append((f"{100 * low:.0f} to {100 * high:.0f} %", inside))
    bins.append(("all right", [u for u in shares if shares[u] == 1]))
    return [
        {
            "bin": name,
            "problems": len(units),
            "gain": {
                selector: math.fsum(own[u] - shares[u] for u in units if u in own)
                / max(1, sum(u in own for u in units))
                for selector, own in values.items()
                if selector != "random"
            },
        }
        for name, units in bins
        if units
    ]
