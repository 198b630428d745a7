"""What is drawn of a ranking: its calibration, histograms of its scores, and single candidates."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from trimtab.core.keys import content_key
from trimtab.reports.data.numbers import Ends
from trimtab.reports.data.statistics import CONFIDENCE
from trimtab.reports.sections.selection.candidates import CandidateSet, Ranking
from trimtab.reports.sections.selection.content import Calibration, CalibrationBin, Histogram
from trimtab.stats.resampling import resampled_sums

_BINS = 20
_RELIABILITY_BINS = 10
_SCATTER = 400
_RESAMPLES = 2000


def calibration(candidates: CandidateSet, ranking: Ranking, seed: int) -> Calibration:
    """Return equal bins of sigmoid(-energy) against the share that is right, and the ECE."""
    ordered = sorted(
        (float(1 / (1 + math.exp(min(row.score, 700)))), row.right, row.cluster)
        for row in candidates.scored(ranking)
    )
    parts = [
        part for part in np.array_split(np.arange(len(ordered)), _RELIABILITY_BINS) if len(part)
    ]
    bins = tuple(
        CalibrationBin(
            n=len(part),
            predicted=math.fsum(ordered[i][0] for i in part) / len(part),
            right=sum(ordered[i][1] for i in part) / len(part),
        )
        for part in parts
    )
    error = math.fsum(b.n * abs(b.predicted - b.right) for b in bins)
    if not ordered:
        return Calibration(bins=bins, ece=None, interval=None)
    found = error / len(ordered)
    return Calibration(bins=bins, ece=found, interval=_ece_interval(ordered, parts, found, seed))


def _ece_interval(
    ordered: Sequence[tuple[float, bool, str]],
    parts: Sequence[npt.NDArray[np.int64]],
    found: float,
    seed: int,
) -> Ends | None:
    """Return the ends of the error's bootstrap interval, which draws problems; None for one.

    Bins keep their bounds. The error of a resample is larger on average, as each bin's difference
    is taken without its sign: that excess is taken off both ends.
    """
    _, codes = np.unique([cluster for _, _, cluster in ordered], return_inverse=True)
    num_clusters = int(codes.max()) + 1
    if num_clusters == 1:
        return None
    over = np.array([predicted - right for predicted, right, _ in ordered])
    columns = np.zeros((num_clusters, len(parts) + 1))
    for number, part in enumerate(parts):
        np.add.at(columns[:, number], codes[part], over[part])
    columns[:, -1] = np.bincount(codes)
    drawn = resampled_sums(columns, seed=seed, num_resamples=_RESAMPLES)
    errors = np.abs(drawn[:, :-1]).sum(1) / drawn[:, -1]
    low, high = np.quantile(errors, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    excess = float(errors.mean()) - found
    return max(0.0, float(low) - excess), max(0.0, float(high) - excess)


def histograms(candidates: CandidateSet, ranking: Ranking) -> dict[str, Histogram]:
    """Return counts of right and wrong candidates by score, as it is and around its problem.

    Only problems with both are centred: where all are right, or all wrong, nothing can be chosen,
    and their narrow spread would be taken for the ranking's.
    """
    result = {}
    for name, centred in (("pooled", False), ("problem-centred", True)):
        values = _by_label(candidates, ranking, centred=centred)
        both = values[True] + values[False]
        if not both or min(both) == max(both):
            continue
        low, high = (float(np.quantile(both, share)) for share in (0.005, 0.995))
        edges = np.linspace(low, high, _BINS + 1)
        if edges[0] == edges[-1]:
            edges = np.linspace(min(both), max(both), _BINS + 1)
        right, wrong = (
            np.histogram(np.clip(values[label], edges[0], edges[-1]), edges)[0].tolist()
            for label in (True, False)
        )
        result[name] = Histogram(edges=tuple(edges.tolist()), right=right, wrong=wrong)
    return result


def _by_label(
    candidates: CandidateSet, ranking: Ranking, *, centred: bool
) -> dict[bool, list[float]]:
    values: dict[bool, list[float]] = {True: [], False: []}
    for unit, problem in candidates.problems.items():
        if centred and len(set(problem.correct)) < 2:
            continue
        scores = ranking.scores[unit]
        known = [score for score in scores if not math.isnan(score)]
        centre = math.fsum(known) / len(known) if known and centred else 0.0
        for score, ok in zip(scores, problem.correct, strict=True):
            if not math.isnan(score):
                values[ok].append(ranking.sign * (score - centre))
    return values


def points(candidates: CandidateSet, ranking: Ranking) -> tuple[tuple[float, float, float], ...]:
    """Return (characters, score, right) of at most 400 candidates, chosen by hash."""
    rows = [
        (content_key([unit, index]), (length, ranking.sign * score, float(ok)))
        for unit, problem in candidates.problems.items()
        for index, (score, ok, length) in enumerate(
            zip(ranking.scores[unit], problem.correct, candidates.lengths[unit], strict=True)
        )
        if not math.isnan(score)
    ]
    return tuple(point for _, point in sorted(rows)[:_SCATTER])
