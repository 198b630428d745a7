"""What stands beside the winner of a search on the test split, and around its strength."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import Field

from trimtab.core.spec import Component, Spec
from trimtab.interventions.base import INTERVENTIONS
from trimtab.recipes._conditions import Condition, named, sweep
from trimtab.recipes._controls import with_controls
from trimtab.recipes._steering import Controls
from trimtab.recipes._sweeps import at_strength, random_directions
from trimtab.search.outcome import best_of_method
from trimtab.search.space import Space
from trimtab.search.trials import Trial


class Sensitivity(Spec):
    """The winner's method and layer at other strengths, on the confirm problems.

    Attributes:
        multiples: Strengths, as multiples of the size of the winner's; both signs are measured.
        random_draws: Random directions at each size.
    """

    multiples: tuple[float, ...] = (0.25, 0.5, 0.75, 1, 1.5, 2)
    random_draws: int = Field(default=2, ge=0)


def beside(winner: Trial, order: Sequence[Trial], space: Space, draws: int) -> list[Condition]:
    """Return the winner with strength 0, random directions, and the best of each other method.

    Args:
        winner: The best on the confirm problems.
        order: Trials, best on the select problems first.
        space: Whose methods they are of.
        draws: Random directions of the winner's length.
    """
    component = winner.component
    chosen = named("winner", component, _setting(component, "unit"))
    conditions = [chosen, *with_controls([], [chosen], draws)[1:]]
    if _has_strength(component):
        at = {"series": "winner", "strength": 0.0, **_place(component)}
        zero = at_strength(component, 0.0)
        conditions.append(Condition("winner +0", "zero", zero, place=at))
        if draws:
            controls = Controls(random_draws=draws, prompt=None)
            size = float(component.config["strength"])
            conditions += random_directions("random", component, [size], controls)
    label = {trial.number: space.method(trial.params).label for trial in order}
    for method, trial in best_of_method(order, label, label[winner.number]).items():
        name = f"best {method}"
        conditions.append(Condition(name, "control", trial.component, "method", {"series": name}))
    return conditions


def around(winner: Trial, space: Space, sensitivity: Sensitivity | None) -> list[Condition]:
    """Return the winner at other strengths of both signs, with random directions."""
    component = winner.component
    if sensitivity is None or not _has_strength(component):
        return []
    own = float(component.config["strength"])
    size = abs(own)
    sizes = [size if m == 1 else float(f"{m * size:.3g}") for m in sensitivity.multiples]
    strengths = [sign * size for size in sizes for sign in (1, -1)]
    others = [strength for strength in strengths if strength != own]
    drawn = Controls(random_draws=sensitivity.random_draws, prompt=None)
    label = space.method(winner.params).label
    return [
        *sweep(label, lambda s: at_strength(component, s), others, _place(component)),
        *random_directions("random", component, strengths, drawn),
    ]


def _has_strength(component: Component) -> bool:
    return isinstance(component.config.get("strength"), int | float)


def _setting(component: Component, name: str) -> str | None:
    built = INTERVENTIONS.build(component.name, component.config).config
    value: str | None = getattr(built, name, None)
    return value


def _place(component: Component) -> Mapping[str, float | str]:
    place = {name: _setting(component, name) for name in ("unit", "layer")}
    return {name: value for name, value in place.items() if value is not None}
