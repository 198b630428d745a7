"""How well numbers rank the candidates of a problem, and what they are worth shown less."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from trimtab.reports.data.numbers import Comparison, Ends
from trimtab.reports.data.statistics import (
    CONFIDENCE,
    compare,
    corrected,
    ends,
    estimate,
    seed_for,
)
from trimtab.reports.sections.selection.accuracy import ACCURACY
from trimtab.reports.sections.selection.candidates import CandidateSet, Ranking, Scored
from trimtab.reports.sections.selection.content import (
    Ablation,
    RankingNumbers,
    RankingQuality,
)
from trimtab.reports.sections.selection.pictures import calibration, histograms, points
from trimtab.stats import selection as choose
from trimtab.stats.agreement import auc, rank_correlation
from trimtab.stats.intervals import cluster_bootstrap_ratio
from trimtab.stats.ranking import auc_interval, rank_correlation_interval

_ENERGY = "energy"


def rankings(candidates: CandidateSet, seed: int) -> tuple[RankingNumbers, ...]:
    """Return AUCs, calibration, histograms and points of the set's rankings.

    Length and format alone come last: what a reranker must beat.
    """
    unformatted = {u: [float(not x) for x in flags] for u, flags in candidates.formatted.items()}
    alone = (
        Ranking("length only (shorter)", "characters", 1, candidates.lengths),
        Ranking("format only", "unformatted", 1, unformatted),
    )
    return (
        *(_drawn(candidates, ranking, seed) for ranking in candidates.rankings),
        *(RankingNumbers.pick(dict(_quality(candidates, ranking, seed))) for ranking in alone),
    )


def _drawn(candidates: CandidateSet, ranking: Ranking, seed: int) -> RankingNumbers:
    return RankingNumbers.pick(
        dict(_quality(candidates, ranking, seed)),
        # only an energy is trained, or published, as the logit of being wrong
        calibration=calibration(candidates, ranking, seed) if ranking.metric == _ENERGY else None,
        histograms=histograms(candidates, ranking),
        points=points(candidates, ranking),
    )


def ablations(candidates: CandidateSet, seed: int) -> tuple[Ablation, ...]:
    """Return what the lowest energy is worth if the model is shown less.

    ``vs_whole`` compares with the same model that is shown everything; Holm's correction counts
    the ablations of this set.
    """
    random = {unit: choose.random_choice(p) for unit, p in candidates.problems.items()}
    whole = {ranking.name: _lowest(candidates, ranking) for ranking in candidates.rankings}
    rows = []
    for ranking in candidates.ablations:
        lowest, clusters = _lowest(candidates, ranking), candidates.clusters
        to_random = seed_for(seed, ranking.name, "random")
        to_whole = seed_for(seed, ranking.name, "whole")
        rows.append(
            Ablation.pick(
                dict(_quality(candidates, ranking, seed))
                | dict(estimate(lowest, clusters, ACCURACY, seed)),
                whole=ranking.whole,
                vs_random=compare(lowest, random, clusters, to_random),
                vs_whole=None
                if ranking.whole is None
                else compare(lowest, whole[ranking.whole], clusters, to_whole),
            )
        )
    for field in ("vs_random", "vs_whole"):
        rows = _corrected(rows, field)
    return tuple(rows)


def _corrected(rows: Sequence[Ablation], field: str) -> list[Ablation]:
    family: list[Comparison] = [c for row in rows if (c := getattr(row, field)) is not None]
    adjusted = iter(corrected(family))
    return [
        row if getattr(row, field) is None else row.model_copy(update={field: next(adjusted)})
        for row in rows
    ]


def _lowest(candidates: CandidateSet, ranking: Ranking) -> dict[str, float]:
    values = {
        unit: choose.lowest(p, ranking.scores[unit]) for unit, p in candidates.problems.items()
    }
    return {unit: value for unit, value in values.items() if value is not None}


def _quality(candidates: CandidateSet, ranking: Ranking, seed: int) -> RankingQuality:
    """Return the pooled AUC, the one within problems with its interval, and what they rest on."""
    wins = {
        unit: choose.pair_wins(p, ranking.scores[unit]) for unit, p in candidates.problems.items()
    }
    usable = [unit for unit, (_, pairs) in wins.items() if pairs]
    rows = candidates.scored(ranking)
    pairs = sum(wins[unit][1] for unit in usable)
    return RankingQuality(
        ranking=ranking.name,
        metric=ranking.metric,
        scored=len(rows),
        unscored=len(candidates.problems) * candidates.num_candidates - len(rows),
        problems=len(usable),
        pairs=pairs,
        **_pooled(rows, seed),
        within_auc=math.fsum(wins[u][0] for u in usable) / pairs if pairs else None,
        within_interval=_within_interval(wins, usable, candidates.clusters, seed),
    )


def _pooled(rows: Sequence[Scored], seed: int) -> dict[str, Any]:
    """Return what is measured over all candidates at once, with intervals that draw problems."""
    scores = [row.score for row in rows]
    right, lengths = [row.right for row in rows], [row.characters for row in rows]
    clusters = [row.cluster for row in rows]
    ranks = [-score for score in scores]
    area = auc(ranks, right) if rows else None
    rho = _correlation(scores, lengths)
    return {
        "pooled_auc": area,
        "pooled_interval": None
        if area is None
        else ends(auc_interval(ranks, right, clusters, seed=seed, level=CONFIDENCE)),
        "length_correlation": rho,
        "length_interval": None
        if rho is None
        else ends(
            rank_correlation_interval(scores, lengths, clusters, seed=seed, level=CONFIDENCE)
        ),
        "clusters": len(set(clusters)),
    }


def _within_interval(
    wins: Mapping[str, tuple[float, int]],
    usable: Sequence[str],
    clusters: Mapping[str, str],
    seed: int,
) -> Ends | None:
    if not usable:
        return None
    interval = cluster_bootstrap_ratio(
        [wins[unit][0] for unit in usable],
        [float(wins[unit][1]) for unit in usable],
        [clusters[unit] for unit in usable],
        seed=seed,
        level=CONFIDENCE,
    )
    return ends(interval)


def _correlation(scores: Sequence[float], lengths: Sequence[float]) -> float | None:
    """Return Spearman's rank correlation with the length in characters; None where undefined."""
    if len(set(scores)) < 2 or len(set(lengths)) < 2:
        return None
    return rank_correlation(scores, lengths)
