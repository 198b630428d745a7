"""Each treatment's effect among those of random vectors of its length."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from trimtab.reports.data.numbers import (
    Condition,
    Family,
    Measure,
    MetricNumbers,
    RandomPosition,
)
from trimtab.reports.data.statistics import CONFIDENCE, SIGNIFICANCE, ends
from trimtab.stats.paired import holm
from trimtab.stats.position import position_among

Place = tuple[str, str, str]
"""Measure, condition, metric."""


def among_randoms(
    measures: Mapping[str, Measure], conditions: Sequence[Condition]
) -> tuple[dict[str, Measure], Family]:
    """Return the measures with ``vs_random`` of all treatments x effect metrics, corrected."""
    known = {condition.condition: condition for condition in conditions}
    found: dict[Place, RandomPosition] = {}
    for name, measure in measures.items():
        for metric in measure.metrics:
            for label in measure.conditions if metric.role == "effect" else ():
                position = _position(measure, metric.id, known[label], known)
                if position is not None:
                    found[name, label, metric.id] = position
    adjusted = holm([position.p for position in found.values()])
    corrected = {
        place: position.model_copy(update={"p_holm": p})
        for (place, position), p in zip(found.items(), adjusted, strict=True)
    }
    placed = {name: _placed(name, measure, corrected) for name, measure in measures.items()}
    return placed, Family(tests=len(found), method="holm")


def _position(
    measure: Measure, metric: str, condition: Condition, known: Mapping[str, Condition]
) -> RandomPosition | None:
    """Return a treatment's place; None where nothing can be compared."""
    effect = _difference(measure, condition.condition, metric)
    drawn: dict[str, list[float]] = defaultdict(list)
    for label in condition.randoms:
        change = _difference(measure, label, metric)
        if change is not None:
            # both signs of one direction are not two directions
            drawn[str(known[label].coordinates.get("draw", label))].append(change)
    if effect is None or not drawn:
        return None
    place = position_among(effect, drawn, CONFIDENCE)
    values = [value for some in drawn.values() for value in some]
    return RandomPosition.taken(
        place,
        difference=effect,
        vectors=len(values),
        directions=len(drawn),
        low=min(values),
        high=max(values),
        interval=ends(place.interval),
        p=place.p_value,
        p_holm=None,
    )


def _difference(measure: Measure, condition: str, metric: str) -> float | None:
    numbers = measure.numbers(condition, metric)
    against = None if numbers is None else numbers.vs_baseline
    return None if against is None else against.difference


def _placed(name: str, measure: Measure, positions: Mapping[Place, RandomPosition]) -> Measure:
    """Return a measure with the positions that were found."""
    entries = {}
    for label, entry in measure.conditions.items():
        metrics = {
            metric: numbers.model_copy(update={"vs_random": positions[name, label, metric]})
            if (name, label, metric) in positions
            else numbers
            for metric, numbers in entry.metrics.items()
        }
        entries[label] = entry.model_copy(update={"metrics": metrics})
    return measure.model_copy(update={"conditions": entries})


def beyond_random(numbers: MetricNumbers) -> bool | None:
    """Whether an effect is more than random vectors of its length have; None without any.

    None of them may go as far, and one more must be unlikely to (p < 0.05 after correction).
    """
    place = numbers.vs_random
    if place is None:
        return None
    return not place.exceeding and place.p_holm is not None and place.p_holm < SIGNIFICANCE
