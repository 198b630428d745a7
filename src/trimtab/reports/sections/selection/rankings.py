"""How well numbers rank the candidates of a problem, and what they are worth shown less."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy import stats as scipy_stats

from trimtab.core.keys import content_key
from trimtab.core.spec import Metric
from trimtab.reports.data.statistics import CONFIDENCE, compare, correct, estimate, seed_for
from trimtab.reports.sections.selection.candidates import CandidateSet, Ranking
from trimtab.stats import selection as choose
from trimtab.stats.agreement import auc
from trimtab.stats.intervals import cluster_bootstrap_ratio

ACCURACY = Metric(name="correct", kind="binary", role="effect")
_BINS = 20
_ENERGY = "energy"
_RELIABILITY_BINS = 10
_SCATTER = 400


def rankings(made: CandidateSet, seed: int) -> list[dict[str, Any]]:
    """Return AUCs, calibration, histograms and points of the set's rankings.

    Length and format alone come last: what a reranker must beat.
    """
    unformatted = {u: [float(not x) for x in flags] for u, flags in made.formatted.items()}
    alone = (
        Ranking("length only (shorter)", "characters", 1, made.lengths),
        Ranking("format only", "unformatted", 1, unformatted),
    )
    return [
        *({**_orders(made, one, seed), **_pictures(made, one)} for one in made.rankings),
        *(_orders(made, one, seed) for one in alone),
    ]


def ablations(made: CandidateSet, seed: int) -> list[dict[str, Any]]:
    """Return what the lowest energy is worth if the model is shown less.

    ``vs_whole`` compares with the same model that is shown everything; Holm's correction counts
    the ablations of this set.
    """
    random = {unit: choose.random_choice(p) for unit, p in made.problems.items()}
    whole = {ranking.name: _lowest(made, ranking) for ranking in made.rankings}
    found = []
    for one in made.ablations:
        own = _lowest(made, one)
        row = {
            **_orders(made, one, seed),
            **estimate(own, made.clusters, ACCURACY, seed),
            "whole": one.whole,
            "vs_random": compare(own, random, made.clusters, seed_for(seed, one.name, "random")),
            "vs_whole": None,
        }
        if one.whole is not None:
            against = seed_for(seed, one.name, "whole")
            row["vs_whole"] = compare(own, whole[one.whole], made.clusters, against)
        found.append(row)
    for reference in ("vs_random", "vs_whole"):
        correct([row[reference] for row in found if row[reference]])
    return found


def _lowest(made: CandidateSet, ranking: Ranking) -> dict[str, float]:
    found = {unit: choose.lowest(p, ranking.scores[unit]) for unit, p in made.problems.items()}
    return {unit: value for unit, value in found.items() if value is not None}


def _scored(made: CandidateSet, ranking: Ranking) -> list[tuple[float, bool, float]]:
    """Return (score, right, characters) of each candidate that has a score."""
    return [
        (score, ok, length)
        for unit, problem in made.problems.items()
        for score, ok, length in zip(
            ranking.scores[unit], problem.correct, made.lengths[unit], strict=True
        )
        if not math.isnan(score)
    ]


def _orders(made: CandidateSet, ranking: Ranking, seed: int) -> dict[str, Any]:
    """Return the pooled AUC, the one within problems with its interval, and what they rest on."""
    wins = {u: choose.pair_wins(p, ranking.scores[u]) for u, p in made.problems.items()}
    usable = [unit for unit, (_, pairs) in wins.items() if pairs]
    rows = _scored(made, ranking)
    pairs = sum(wins[unit][1] for unit in usable)
    return {
        "ranking": ranking.name,
        "metric": ranking.metric,
        "scored": len(rows),
        "unscored": len(made.problems) * made.num_candidates - len(rows),
        "problems": len(usable),
        "pairs": pairs,
        "pooled_auc": auc([-s for s, _, _ in rows], [ok for _, ok, _ in rows]) if rows else None,
        "within_auc": math.fsum(wins[u][0] for u in usable) / pairs if pairs else None,
        "within_interval": _within_interval(wins, usable, made.clusters, seed),
        "length_correlation": _correlation([s for s, _, _ in rows], [x for _, _, x in rows]),
    }


def _within_interval(
    wins: Mapping[str, tuple[float, int]],
    usable: Sequence[str],
    clusters: Mapping[str, str],
    seed: int,
) -> list[float] | None:
    if not usable:
        return None
    found = cluster_bootstrap_ratio(
        [wins[unit][0] for unit in usable],
        [float(wins[unit][1]) for unit in usable],
        [clusters[unit] for unit in usable],
        seed=seed,
        level=CONFIDENCE,
    )
    return [found.low, found.high] if found.is_defined else None


def _correlation(scores: Sequence[float], lengths: Sequence[float]) -> float | None:
    """Return Spearman's rank correlation with the length in characters; None where undefined."""
    if len(set(scores)) < 2 or len(set(lengths)) < 2:
        return None
    return float(scipy_stats.spearmanr(scores, lengths).statistic)


def _pictures(made: CandidateSet, ranking: Ranking) -> dict[str, Any]:
    return {
        # only an energy is trained, or published, as the logit of being wrong
        "calibration": _calibration(_scored(made, ranking)) if ranking.metric == _ENERGY else None,
        "histograms": _histograms(made, ranking),
        "points": _points(made, ranking),
    }


def _calibration(rows: Sequence[tuple[float, bool, float]]) -> dict[str, Any]:
    """Return equal bins of sigmoid(-energy) against the share that is right, and the ECE."""
    ordered = sorted((float(1 / (1 + math.exp(min(s, 700)))), ok) for s, ok, _ in rows)
    parts = [
        part for part in np.array_split(np.arange(len(ordered)), _RELIABILITY_BINS) if len(part)
    ]
    bins = [
        {
            "n": len(part),
            "predicted": math.fsum(ordered[i][0] for i in part) / len(part),
            "right": sum(ordered[i][1] for i in part) / len(part),
        }
        for part in parts
    ]
    error = math.fsum(b["n"] * abs(b["predicted"] - b["right"]) for b in bins)
    return {"bins": bins, "ece": error / len(ordered) if ordered else None}


def _histograms(made: CandidateSet, ranking: Ranking) -> dict[str, Any]:
    """Return counts of right and wrong candidates by score, as it is and around its problem.

    Only problems with both are centred: where all are right, or all wrong, nothing can be chosen,
    and their narrow spread would be taken for the ranking's.
    """
    result = {}
    for name, move in (("pooled", False), ("problem-centred", True)):
        values: dict[bool, list[float]] = {True: [], False: []}
        for unit, problem in made.problems.items():
            if move and len(set(problem.correct)) < 2:
                continue
            scores = ranking.scores[unit]
            known = [score for score in scores if not math.isnan(score)]
            centre = math.fsum(known) / len(known) if known and move else 0.0
            for score, ok in zip(scores, problem.correct, strict=True):
                if not math.isnan(score):
                    values[ok].append(ranking.sign * (score - centre))
        both = values[True] + values[False]
        if not both or min(both) == max(both):
            continue
        low, high = (float(np.quantile(both, share)) for share in (0.005, 0.995))
        edges = np.linspace(low, high, _BINS + 1)
        if edges[0] == edges[-1]:
            edges = np.linspace(min(both), max(both), _BINS + 1)
        result[name] = {
            "edges": edges.tolist(),
            "right": np.histogram(np.clip(values[True], edges[0], edges[-1]), edges)[0].tolist(),
            "wrong": np.histogram(np.clip(values[False], edges[0], edges[-1]), edges)[0].tolist(),
        }
    return result


def _points(made: CandidateSet, ranking: Ranking) -> list[list[float]]:
    """Return [characters, score, right] of at most 400 candidates, chosen by hash."""
    found = [
        (content_key([unit, index]), [length, ranking.sign * score, float(ok)])
        for unit, problem in made.problems.items()
        for index, (score, ok, length) in enumerate(
            zip(ranking.scores[unit], problem.correct, made.lengths[unit], strict=True)
        )
        if not math.isnan(score)
    ]
    return [point for _, point in sorted(found)[:_SCATTER]]
