"""An intervention without a strength, swept over several, with its random directions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from trimtab.core.spec import Component, Spec
from trimtab.interventions.base import INTERVENTIONS, Intervention
from trimtab.recipes._conditions import Condition, sweep
from trimtab.recipes._controls import randoms, sizes
from trimtab.recipes._steering import Controls, RandomDirections

_ADDITIVE = ("layer", "strength", "unit", "positions")
_WHERE = (("layer", None), ("positions", "generated"), ("gate", None))
"""Settings that say where a vector acts, with their defaults."""


def is_swept(component: Component) -> bool:
    """Return whether an intervention does nothing unless it is given a strength, and has none."""
    field = INTERVENTIONS.load(component.name).Config.model_fields.get("strength")
    return field is not None and field.default == 0 and "strength" not in component.config


def swept(label: str, component: Component, strengths: Sequence[float]) -> list[Condition]:
    """Return ``component`` at strength 0 and at each of ``strengths``."""
    return sweep(label, partial(at_strength, component), strengths, _place(component))


def random_directions(
    label: str,
    component: Component,
    strengths: Sequence[float],
    controls: Controls,
    of: str | None = None,
) -> list[Condition]:
    """Return random directions as long as what ``component`` adds, if they can be drawn.

    Args:
        label: What they are called.
        component: The intervention.
        strengths: Its strengths.
        controls: How many directions, at which strengths.
        of: The series that they belong to, where there are several.
    """
    drawn = _random_like(component)
    if drawn is None:
        return []
    lengths = controls.random_strengths or sizes(strengths)
    draws, place = range(controls.most_draws), _place(component)
    place |= {"of": of} if of else {}
    return randoms(partial(at_strength, drawn), lengths, draws, place, label)


def random_beside(
    planned: Sequence[Condition], further: Sequence[Condition], controls: RandomDirections
) -> list[Condition]:
    """Return random directions for what has a strength of its own, each as long as what it adds.

    Args:
        planned: Conditions whose random directions serve, where they are as long and at one place.
        further: Conditions with a strength that their configuration gives.
        controls: How many directions.
    """
    added: list[Condition] = []
    for condition in further:
        drawn = _random_like(condition.intervention)
        size = condition.place.get("strength")
        if condition.role != "treatment" or drawn is None or not isinstance(size, int | float):
            continue
        if "random" in _build(condition).controls():
            continue
        if any(_is_as_long(other, condition) for other in (*planned, *added)):
            continue
        place = {**condition.place, "series": "random", "of": condition.place["series"]}
        added += [
            Condition(
                f"{condition.label}, random #{draw + 1}",
                "control",
                at_strength(drawn, abs(size), draw),
                "random",
                {**place, "strength": abs(size), "draw": draw},
                draw + 1,
            )
            for draw in range(controls.most_draws)
        ]
    return added


def _is_as_long(drawn: Condition, condition: Condition) -> bool:
    """Whether a random direction is as long as what a condition adds, and added where that is."""
    mine, other = condition.place, drawn.place
    if drawn.control != "random" or other.get("of", mine["series"]) != mine["series"]:
        return False
    config, beside = condition.intervention.config, drawn.intervention.config
    if abs(float(mine["strength"])) != abs(float(other.get("strength", 0.0))):
        return False
    if condition.intervention.name == drawn.intervention.name:
        return _without(config, "strength", "draw") == _without(beside, "strength", "draw")
    if any(config.get(name, default) != beside.get(name, default) for name, default in _WHERE):
        return False
    # other units say how long what is added is; a raw one and an automatic block go by the fit
    if config.get("unit") != "raw" and config.get("layer") != "auto":
        return mine.get("unit") == other.get("unit")
    needs = [_build(one).needs().get("vector") for one in (condition, drawn)]
    return needs[0] == needs[1]


def _without(config: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {key: value for key, value in config.items() if key not in names}


def _build(condition: Condition) -> Intervention[Spec]:
    component = condition.intervention
    return INTERVENTIONS.build(component.name, component.config)


def _random_like(component: Component) -> Component | None:
    """Return a random direction in the place of what ``component`` adds; None if none can be."""
    fields = INTERVENTIONS.load(component.name).Config.model_fields
    if "draw" in fields:
        return component
    built = INTERVENTIONS.build(component.name, component.config)
    if not set(_ADDITIVE) <= fields.keys() or "vector" not in built.needs():
        return None
    like = at_strength(component, 0.0).model_dump()
    like["config"].pop("gate", None)
    given = (name for name in (*_ADDITIVE, "gate") if name in component.config)
    where = {name: component.config[name] for name in given}
    return Component(name="random", config={**where, "like": like})


def at_strength(component: Component, strength: float, draw: int | None = None) -> Component:
    """Return ``component`` at a strength, and as a numbered draw if one is given."""
    drawn = {} if draw is None else {"draw": draw}
    config = {**component.config, "strength": strength, **drawn}
    return Component(name=component.name, config=config)


def _place(component: Component) -> dict[str, float | str]:
    """Return where all strengths of ``component`` stand in figures."""
    built = INTERVENTIONS.build(component.name, component.config).config
    place = {name: getattr(built, name, None) for name in ("unit", "layer")}
    return {name: value for name, value in place.items() if value is not None}
