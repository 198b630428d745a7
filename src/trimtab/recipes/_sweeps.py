"""An intervention without a strength, swept over several, with its random directions."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from trimtab.core.spec import Component
from trimtab.interventions.base import INTERVENTIONS
from trimtab.recipes._conditions import Condition, sweep
from trimtab.recipes._controls import randoms, sizes
from trimtab.recipes._steering import Controls

_ADDITIVE = ("layer", "strength", "unit", "positions")


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
    fields = INTERVENTIONS.load(component.name).Config.model_fields
    if "draw" in fields:
        drawn = component
    elif set(_ADDITIVE) <= fields.keys():
        like = at_strength(component, 0.0)
        where = {name: component.config[name] for name in _ADDITIVE if name in component.config}
        drawn = Component(name="random", config={**where, "like": like.model_dump()})
    else:
        return []
    lengths = controls.random_strengths or sizes(strengths)
    draws, place = range(controls.most_draws), _place(component)
    place |= {"of": of} if of else {}
    return randoms(partial(at_strength, drawn), lengths, draws, place, label)


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
