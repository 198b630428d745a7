"""What a judge is worth against labels: its figures, with intervals, and what they amount to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from trimtab.stats.agreement import (
    auc,
    cohen_kappa,
    kappa_interval,
    rank_correlation,
    weighted_kappa,
    weighted_kappa_interval,
)
from trimtab.stats.intervals import Interval, cluster_bootstrap_mean, wilson

# Kappa by Landis and Koch (1977): slight, fair, moderate, substantial, almost perfect.
_WORDS = ((0.2, "slight"), (0.4, "fair"), (0.6, "moderate"), (0.8, "substantial"))
_USABLE = 0.4
_NOTHING = 1e-9


@dataclass(frozen=True)
class CheckedRow:
    """An answer with its label and what a judge said of it.

    Attributes:
        label: 1 for yes and 0 for no, or a grade.
        verdict: The judge's; None where it gave none.
        chance: The judge's P(yes), if it gives one.
        cluster: The question.
        words: Of the answer.
    """

    label: float
    verdict: float | None
    chance: float | None
    cluster: str
    words: int


def measure_verdicts(rows: Sequence[CheckedRow], seed: int) -> dict[str, Any]:
    """Return every figure of verdicts; rates with intervals that draw whole questions."""
    judged, result = _parsed(rows)
    yes, no = ([row for row in judged if row.label == label] for label in (1, 0))
    if not yes or not no:
        return {**result, "usable": False, "verdict": "too few verdicts for a judgement"}
    agreed = [int(row.verdict or 0) for row in judged]
    labels, clusters = [int(row.label) for row in judged], [row.cluster for row in judged]
    kappa = cohen_kappa(labels, agreed)
    interval = kappa_interval(labels, agreed, clusters, seed=seed)
    result |= {
        "positives": len(yes),
        "negatives": len(no),
        "yes_rate": sum(agreed) / len(agreed),
        "label_rate": sum(labels) / len(labels),
        "sensitivity": _mean([row.verdict or 0.0 for row in yes], yes, seed),
        "specificity": _mean([1 - (row.verdict or 0.0) for row in no], no, seed),
        "error": _mean([row.label - (row.verdict or 0.0) for row in judged], judged, seed),
        "accuracy": sum(x == y for x, y in zip(agreed, labels, strict=True)) / len(agreed),
        "kappa": {"value": kappa, "interval": _bounds(interval), "clusters": len(set(clusters))},
        "auc": _auc(judged),
        "length": _length(judged),
    }
    return {**result, **_judgement(kappa, interval)}


def measure_grades(rows: Sequence[CheckedRow], seed: int) -> dict[str, Any]:
    """Return every figure of grades, in the unit of the labels; intervals draw whole questions.

    ``error`` is label minus judge, as of verdicts; ``distance`` is its size. ``kappa`` is weighted
    by squares: it takes a judge that is off by a constant for a worse one, the rank correlation
    does not. ``length`` is the rank correlation of what the judge adds with the answer's words.
    """
    judged, result = _parsed(rows)
    labels = [row.label for row in judged]
    grades = [row.verdict or 0.0 for row in judged]
    if len(set(labels)) < 2:
        return {**result, "usable": False, "verdict": "too few grades for a judgement"}
    clusters = [row.cluster for row in judged]
    error = [label - grade for label, grade in zip(labels, grades, strict=True)]
    kappa = weighted_kappa(labels, grades)
    interval = weighted_kappa_interval(labels, grades, clusters, seed=seed)
    words = [float(row.words) for row in judged]
    result |= {
        "label_mean": sum(labels) / len(labels),
        "grade_mean": sum(grades) / len(grades),
        "error": _mean(error, judged, seed),
        "distance": _mean([abs(x) for x in error], judged, seed),
        "same": _mean([float(x == 0) for x in error], judged, seed),
        "kappa": {"value": kappa, "interval": _bounds(interval), "clusters": len(set(clusters))},
        "rank_correlation": _ranked(labels, grades),
        "length": _ranked([-x for x in error], words),
    }
    return {**result, **_judgement(kappa, interval)}


def _parsed(rows: Sequence[CheckedRow]) -> tuple[list[CheckedRow], dict[str, Any]]:
    """Return the rows that were judged, and how many they are."""
    judged = [row for row in rows if row.verdict is not None]
    parsed = wilson(len(judged), len(rows))
    found = {
        "n": len(rows),
        "judged": len(judged),
        "parse_rate": _rate(len(judged) / len(rows), parsed),
    }
    return judged, found


def _ranked(a: Sequence[float], b: Sequence[float]) -> float | None:
    """Return Spearman's correlation; None where one of the two is constant."""
    return rank_correlation(a, b) if len(set(a)) > 1 and len(set(b)) > 1 else None


def _mean(values: list[float], rows: Sequence[CheckedRow], seed: int) -> dict[str, Any]:
    clusters = [row.cluster for row in rows]
    interval = cluster_bootstrap_mean(values, clusters, seed=seed)
    if not interval.is_defined and set(values) <= {0.0, 1.0}:
        # no spread to resample: all right, or all wrong
        interval = wilson(round(sum(values)), len(values))
    return {**_rate(sum(values) / len(values), interval), "clusters": len(set(clusters))}


def _rate(value: float, interval: Interval) -> dict[str, Any]:
    return {"value": value, "interval": _bounds(interval)}


def _bounds(interval: Interval) -> list[float] | None:
    return [interval.low, interval.high] if interval.is_defined else None


def _auc(rows: Sequence[CheckedRow]) -> float | None:
    scored = [row for row in rows if row.chance is not None]
    if not scored:
        return None
    return auc([row.chance or 0.0 for row in scored], [int(row.label) for row in scored])


def _length(rows: Sequence[CheckedRow]) -> dict[str, float | None]:
    """Return how far length alone moves the verdict among answers with the same label.

    ``bias`` is the chance that the longer of two equally labelled answers, of which the judge
    accepts one, is the accepted one: 0.5 is no bias. ``yes`` and ``no``: within each label.
    """
    by_label: dict[str, float | None] = {}
    total = pairs = 0.0
    for label, name in ((1, "yes"), (0, "no")):
        own = [row for row in rows if row.label == label]
        verdicts = [int(row.verdict or 0) for row in own]
        by_label[name] = auc([float(row.words) for row in own], verdicts)
        count = sum(verdicts) * (len(verdicts) - sum(verdicts))
        if by_label[name] is not None:
            total, pairs = total + count * (by_label[name] or 0.0), pairs + count
    return {"bias": total / pairs if pairs else None, **by_label}


def _judgement(kappa: float | None, interval: Interval) -> dict[str, Any]:
    """Return whether the judge may be used, and why, in words."""
    if kappa is None or abs(kappa) < _NOTHING:
        return {
            "usable": False,
            "verdict": "a bad judge: what it says has nothing to do with the answer",
        }
    word = next((word for limit, word in _WORDS if kappa < limit), "almost perfect")
    said = f"agreement with people is {word} (kappa {kappa:.2f})"
    if not interval.is_defined or interval.low <= 0:
        return {"usable": False, "verdict": f"a bad judge: not better than chance; {said}"}
    if kappa < _USABLE:
        return {"usable": False, "verdict": f"a bad judge: {said}; don't rest a result on it"}
    return {"usable": True, "verdict": f"a usable judge: {said}; report corrected rates"}
