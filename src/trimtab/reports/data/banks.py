"""Conditions that differ only in which vector of a bank was added: pooled, with their spread."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from trimtab.core.plan import Cell
from trimtab.reports.data.numbers import Comparison, Condition, Ends, Estimate, VectorSpread
from trimtab.reports.data.source import PlanSource
from trimtab.reports.data.statistics import CONFIDENCE, CROSSED, Floats, detectable, ends
from trimtab.stats.crossed import Spread, crossed_interval, crossed_p_value, spread
from trimtab.stats.intervals import Interval

_PLACE = ("series", "strength", "layer", "size")


def pools_of_vectors(
    run: PlanSource, vectors: Sequence[Condition], cells: Mapping[str, Cell]
) -> list[Condition]:
    """Return a pooled treatment for all vectors of one size at one strength.

    Args:
        run: Knows how many questions each vector was made from.
        vectors: The conditions that hold one vector each.
        cells: A cell of each condition.
    """
    places: dict[tuple[float | str | None, ...], list[Condition]] = {}
    for condition in vectors:
        key = tuple(condition.coordinates.get(name) for name in _PLACE)
        places.setdefault(key, []).append(condition)
    return [
        members[0].model_copy(
            update={
                "group": "treatment",
                "condition": f"{series} {strength:+g}, {len(members)} vectors",
                "coordinates": {k: v for k, v in members[0].coordinates.items() if k != "vector"},
                "members": tuple(member.condition for member in members),
                "share": _share(run, cells[members[0].condition], size),
            }
        )
        for (series, strength, _, size), members in places.items()
    ]


def _share(run: PlanSource, cell: Cell, size: float | str | None) -> float:
    """Return which part of the questions each vector was made from; 0 before the fit."""
    shares = [
        float(entry["share"])
        for key in cell.artifacts.values()
        for layer in (run.artifact_info(key) or {}).get("layers", {}).values()
        for entry in layer.get("sizes", ())
        if entry["asked"] == size
    ]
    return shares[0] if shares else 0.0


def widen_estimate(single: Estimate, parts: Sequence[Floats], share: float) -> Estimate:
    """Return an estimate whose interval covers the vectors, too.

    Args:
        single: ``estimate``'s result on the means over vectors.
        parts: For each vector the value of each unit, [U]; NaN where it has none.
        share: Part of the questions that each vector was made from.

    Returns:
        ``single`` with the ``interval`` of both, ``interval_questions`` as it was, and ``vectors``.
    """
    means = [mean for part in parts if (mean := _mean(part)) is not None]
    if not means or single.mean is None:
        return single
    among = spread(means, share)
    rows = _rows_alone(single.interval, single.method)
    both = crossed_interval(single.mean, rows, among)
    return single.model_copy(
        update={
            "interval": ends(both),
            "interval_questions": single.interval,
            "vectors": _vectors(among, share),
            "method": both.method,
        }
    )


def widen_comparison(
    single: Comparison,
    parts: Sequence[Floats],
    share: float,
    reference: Floats,
) -> Comparison:
    """Return a comparison whose interval and test cover the vectors, too.

    ``reference`` holds the values that are compared with; the rest is as in ``widen_estimate``.
    """
    means = [mean for part in parts if (mean := _mean(part - reference)) is not None]
    if not means:
        return single
    among = spread(means, share)
    rows = _rows_alone(single.interval, None)
    interval = ends(crossed_interval(single.difference, rows, among))
    wide = single.model_copy(
        update={
            "interval": interval,
            "interval_questions": single.interval,
            "vectors": _vectors(among, share),
            "p": crossed_p_value(single.difference, rows, among),
            "test": CROSSED,
        }
    )
    return wide.model_copy(update={"mde": detectable(wide)})


def _rows_alone(interval: Ends | None, method: str | None) -> Interval:
    low, high = interval or (math.nan, math.nan)
    return Interval(low, high, CONFIDENCE, method or "bootstrap of questions")


def _mean(values_U: Floats) -> float | None:
    scored = values_U[~np.isnan(values_U)]
    return math.fsum(scored.tolist()) / scored.size if scored.size else None


def _vectors(among: Spread, share: float) -> VectorSpread:
    return VectorSpread(
        num=among.num,
        mean=among.mean,
        sd=among.sd,
        low=among.low,
        high=among.high,
        share=share,
    )
