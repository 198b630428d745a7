"""What steering did to each behaviour, typed: effects by strength, side effects beside them."""

from __future__ import annotations

from collections.abc import Iterator

from trimtab.reports.data.conditions import TREATMENT, strength
from trimtab.reports.data.content import Content
from trimtab.reports.data.metrics import MATCHING, RIGHT
from trimtab.reports.data.numbers import Comparison, Ends, Measure, Numbers
from trimtab.reports.data.randoms import beyond_random
from trimtab.reports.data.statistics import significant


class SideEffect(Content):
    """What a condition changed in a measure that it should leave alone; uncorrected."""

    measure: str
    effect: Comparison
    verdict: str


class StrengthEffect(Content):
    """What one strength changed.

    Attributes:
        strength: In the unit of the plan.
        condition: Label.
        effect: Paired difference to the baseline.
        verdict: higher, lower, null, not established, as random (established, but random vectors
            of equal length may go as far), or no data.
        side_effects: The same of each side effect that was measured.
    """

    strength: float
    condition: str
    effect: Comparison | None
    verdict: str
    side_effects: tuple[SideEffect, ...]


class Behaviour(Content):
    """One behaviour.

    Attributes:
        measure: The measure that asks for it.
        metric: Id of its metric there.
        n: Questions.
        num_clusters: Clusters that the baseline's questions form.
        mean: Of the baseline.
        interval: Of the baseline.
        strengths: By ascending strength.
    """

    measure: str
    metric: str
    n: int
    num_clusters: int
    mean: float | None
    interval: Ends | None
    strengths: tuple[StrengthEffect, ...]


class BehavioursContent(Content):
    """All behaviours in plan order, and the measures that should be left alone."""

    behaviours: tuple[Behaviour, ...]
    sides: tuple[str, ...]

    @property
    def strengths(self) -> list[float]:
        """Every strength that occurs, ascending."""
        return sorted({s.strength for row in self.behaviours for s in row.strengths})


def read_behaviours(numbers: Numbers, baseline: str) -> BehavioursContent | None:
    """Return the behaviours of a run; None for a run without any.

    A behaviour is a measure with the metric ``matching``; a side effect one with ``right_letter``,
    on which a condition of the same label was measured.
    """
    rows = []
    for name, measure, metric in _holders(numbers, MATCHING):
        base = measure.numbers(baseline, metric)
        places = sorted(
            (size, condition.condition)
            for condition in numbers.conditions
            if condition.group == TREATMENT and condition.condition in measure.conditions
            if (size := strength(condition)) is not None
        )
        rows.append(
            Behaviour(
                measure=name,
                metric=metric,
                n=measure.units,
                num_clusters=0 if base is None else base.num_clusters,
                mean=None if base is None else base.mean,
                interval=None if base is None else base.interval,
                strengths=tuple(_strength(numbers, measure, metric, *place) for place in places),
            )
        )
    sides = tuple(name for name, _, _ in _holders(numbers, RIGHT))
    return BehavioursContent(behaviours=tuple(rows), sides=sides) if rows else None


def _strength(
    numbers: Numbers, measure: Measure, metric: str, size: float, label: str
) -> StrengthEffect:
    numbers_here = measure.numbers(label, metric)
    effect = _effect(measure, label, metric)
    verdict = _word(effect, corrected=True)
    if numbers_here is not None and verdict in ("higher", "lower"):
        verdict = verdict if beyond_random(numbers_here) is not False else "as random"
    sides = (
        (name, _effect(other, label, right)) for name, other, right in _holders(numbers, RIGHT)
    )
    return StrengthEffect(
        strength=size,
        condition=label,
        effect=effect,
        verdict=verdict,
        side_effects=tuple(
            SideEffect(measure=name, effect=side, verdict=_word(side, corrected=False))
            for name, side in sides
            if side is not None
        ),
    )


def _holders(numbers: Numbers, metric: str) -> Iterator[tuple[str, Measure, str]]:
    """Yield (measure's name, measure, metric id) of every measure that has ``metric``."""
    for name, measure, given in numbers.metrics():
        if given.name == metric:
            yield name, measure, given.id


def _effect(measure: Measure, label: str, metric: str) -> Comparison | None:
    numbers = measure.numbers(label, metric)
    return None if numbers is None else numbers.vs_baseline


def _word(effect: Comparison | None, *, corrected: bool) -> str:
    if effect is None:
        return "no data"
    if effect.interval is None or effect.interval[0] <= 0 <= effect.interval[1]:
        return "null"
    if corrected and not significant(effect):
        return "not established"
    return "higher" if effect.difference > 0 else "lower"
