"""A person's vector and an adapter's: to project answers on, and to steer the base with."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, field_validator

from trimtab.core.spec import Component, Spec
from trimtab.core.trigger import Trigger
from trimtab.recipes._askings import core_askings
from trimtab.recipes._persons import Asked
from trimtab.recipes._steering import preset_layer
from trimtab.recipes._tunings import State, Tuning
from trimtab.runs.plan.planner import Planner
from trimtab.steering.additive import NamedPositions


class PersonVectors(Spec):
    """What is read off hidden states, and steered with.

    Attributes:
        layer: 0-based block; null takes the preset of the model, else half the depth.
        strengths: At which the base is steered with the person's vector and with that of the
            trained adapter, as fractions of the residual norm; without any it is not.
        positions: Where these vectors are added.
    """

    layer: Annotated[int, Field(ge=0)] | None = None
    strengths: tuple[float, ...] = ()
    positions: NamedPositions = "generated"

    @field_validator("strengths")
    @classmethod
    def _no_zero(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if 0 in value or len(set(value)) < len(value):
            raise ValueError("strengths must be distinct and not 0")
        return value


def add_projection(planner: Planner, vectors: PersonVectors, task: Component) -> None:
    """Let the states of every answer be projected on the person's vector."""
    config = {"layer": _layer(planner, vectors), "task": task.model_dump(), "metric": "projection"}
    judge = Component(name="projection", config=config)
    planner.add_judge(judge, (planner.task(task).measure,))


def add_steered(
    asked: Asked, vectors: PersonVectors, trigger: Trigger | None, tuning: Tuning, state: State
) -> None:
    """Add the base, steered with the person's vector and with the adapter of ``state``."""
    adapter = state.component.model_dump()
    made: dict[str, dict[str, Any]] = {
        "person vector": {"name": "caa"},
        "adapter vector": {"name": "adapter_vector", "adapter": adapter},
    }
    layer = _layer(asked.planner, vectors)
    for name, given in made.items():
        for strength in vectors.strengths:
            where = {"layer": layer, "strength": strength, "positions": vectors.positions}
            beside = Component.model_validate({**given, **where})
            for asking in core_askings(trigger):
                asked.add_steered(f"{name} {strength:+g}", asking, beside, tuning)


def _layer(planner: Planner, vectors: PersonVectors) -> int:
    return preset_layer(planner.resolved) if vectors.layer is None else vectors.layer
