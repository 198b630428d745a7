"""Conditions that differ only in which vector of a bank was added: pooled, with their spread."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from trimtab.core.spec import Cell
from trimtab.reports.data.source import RunSource
from trimtab.reports.data.statistics import CONFIDENCE, POWER_FACTOR
from trimtab.stats.crossed import Spread, crossed_interval, crossed_p_value, spread
from trimtab.stats.intervals import Interval


def pools_of_vectors(
    run: RunSource, conditions: Sequence[dict[str, Any]], cells: Mapping[str, Cell]
) -> list[dict[str, Any]]:
    """Return a pooled treatment for all vectors of one size at one strength.

    Args:
        run: Knows how many questions each vector was made from.
        conditions: All conditions; those of group ``vector`` are pooled.
        cells: A cell of each condition.
    """
    places: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for condition in conditions:
        if condition["group"] == "vector":
            place = condition["coordinates"]
            key = tuple(place.get(name) for name in ("series", "dose", "layer", "size"))
            places.setdefault(key, []).append(condition)
    return [
        {
            **members[0],
            "group": "treatment",
            "condition": f"{series} {dose:+g}, {len(members)} vectors",
            "coordinates": {k: v for k, v in members[0]["coordinates"].items() if k != "vector"},
            "members": [member["condition"] for member in members],
            "share": _share(run, cells[members[0]["condition"]], size),
        }
        for (series, dose, _, size), members in places.items()
    ]


def _share(run: RunSource, cell: Cell, size: Any) -> float:
    """Return which part of the questions each vector was made from; 0 before the fit."""
    info = run.artifact_info(cell.artifact) if cell.artifact else None
    shares = [
        float(entry["share"])
        for layer in (info or {}).get("layers", {}).values()
        for entry in layer.get("sizes", ())
        if entry["asked"] == size
    ]
    return shares[0] if shares else 0.0


def widen(
    found: dict[str, Any],
    parts: Sequence[Mapping[str, float]],
    share: float,
    reference: Mapping[str, float] | None = None,
) -> dict[str, Any]:
    """Return an estimate or a comparison whose interval covers the vectors, too.

    Args:
        found: ``estimate``'s or ``compare``'s result on the means over vectors.
        parts: For each vector the value of each unit.
        share: Part of the questions that each vector was made from.
        reference: The values that ``found`` compares with; None for an estimate.

    Returns:
        ``found`` with ``interval`` (and ``p``, ``test``, ``mde`` of a comparison) of both,
        ``interval_questions`` as it was, and ``vectors``: how many, their sd, smallest, largest.
    """
    name = "mean" if reference is None else "difference"
    means = [mean for part in parts if (mean := _mean(part, reference)) is not None]
    if not means or found[name] is None:
        return found
    among = spread(means, share)
    low, high = found["interval"] or (math.nan, math.nan)
    rows = Interval(low, high, CONFIDENCE, found.get("method") or "bootstrap of questions")
    both = crossed_interval(found[name], rows, among)
    interval = [both.low, both.high] if both.is_defined else None
    wide = {
        **found,
        "interval": interval,
        "interval_questions": found["interval"],
        "vectors": _about(among, share),
    }
    if reference is None:
        return {**wide, "method": both.method}
    return {
        **wide,
        "p": crossed_p_value(found[name], rows, among),
        "test": "t, questions and vectors",
        "mde": POWER_FACTOR * (interval[1] - interval[0]) / 2 if interval else None,
    }


def _mean(part: Mapping[str, float], reference: Mapping[str, float] | None) -> float | None:
    if reference is None:
        values = list(part.values())
    else:
        values = [value - reference[unit] for unit, value in part.items() if unit in reference]
    return math.fsum(values) / len(values) if values else None


def _about(among: Spread, share: float) -> dict[str, Any]:
    return {
        "num": among.num,
        "mean": among.mean,
        "sd": among.sd,
        "low": among.low,
        "high": among.high,
        "share": share,
    }
