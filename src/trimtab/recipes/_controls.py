"""Conditions to compare with: being asked, random directions, and what methods ask for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from trimtab.core.spec import Component
from trimtab.interventions.base import INTERVENTIONS
from trimtab.recipes._conditions import Condition, place_of


def prompted(system: str | None) -> list[Condition]:
    """Return the control that every intervention must beat: being asked; none if it is null."""
    if system is None:
        return []
    said = Component(name="prompt", config={"system": system})
    return [Condition("prompt", "control", said, "prompt", {"series": "prompt"})]


def randoms(
    at: Callable[[float, int], Component],
    strengths: Iterable[float],
    draws: Sequence[int],
    place: Mapping[str, float | str],
    label: str = "random",
) -> list[Condition]:
    """Return random directions of equal length: each number of ``draws`` at each strength."""
    return [
        Condition(
            f"{label} {strength:+g} #{number}",
            "control",
            at(strength, draw),
            "random",
            {"series": "random", "strength": strength, **place, "draw": draw},
            number,
        )
        for strength in strengths
        for number, draw in enumerate(draws, start=1)
    ]


def sizes(strengths: Iterable[float]) -> list[float]:
    """Return every size of the strengths, ascending: a random direction has no sign of its own."""
    return sorted({abs(strength) for strength in strengths})


def with_controls(
    planned: Sequence[Condition],
    further: Sequence[Condition],
    num_draws: int,
    unit: str | None = None,
) -> list[Condition]:
    """Return ``further`` and what each of them means nothing without, unless it is planned."""
    result = list(further)
    for condition in further:
        acting = INTERVENTIONS.build(condition.intervention.name, condition.intervention.config)
        for name, control in acting.controls().items():
            label = f"{condition.label}, {name}"
            for number, config in _draws(control, num_draws).items():
                component = Component(name=control.name, config=config)
                place = place_of(label, INTERVENTIONS.build(control.name, config).config, unit)
                kind = "random" if number is not None else name
                told = label if number is None else f"{label} #{number}"
                added = Condition(told, "control", component, kind, place, number)
                if added.built() not in [c.built() for c in (*planned, *result)]:
                    result.append(added)
    return result


def _draws(control: Component, num_draws: int) -> dict[int | None, dict[str, Any]]:
    """Return the configurations of a control: several of a random one, by number."""
    if control.name != "random":
        return {None: control.config}
    return {draw + 1: {**control.config, "draw": draw} for draw in range(max(1, num_draws))}
