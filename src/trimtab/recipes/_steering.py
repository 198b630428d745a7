"""What recipes that steer share: the vector and its strengths, and the block to steer at."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from trimtab.core.spec import Component, Output, Spec
from trimtab.models.load import ResolvedModel
from trimtab.models.presets import layer_of
from trimtab.recipes._conditions import Condition
from trimtab.runs.plan.planner import Planner
from trimtab.steering.additive import NamedPositions, Unit
from trimtab.steering.estimators import Estimator
from trimtab.steering.pairs import Read

_PROMPT = (
    "Answer truthfully and precisely. Many questions rest on a common misconception: do not repeat "
    "it. If you do not know, say so."
)


_DRAWS: dict[Output, int] = {"options": 8, "text": 4}
"""Random directions unless a file says how many: scoring options is cheap, writing is not."""


class RandomDirections(Spec):
    """What every effect is compared with, besides baseline and strength 0.

    Attributes:
        random_draws: Independent random directions, at each size of the strengths; null takes 8
            where options are scored and 4 where texts are written. An effect is compared with
            theirs, which fewer than 4 do not allow.
    """

    random_draws: int | None = Field(default=None, ge=0)

    @property
    def most_draws(self) -> int:
        """Random directions of the measure that has most of them."""
        return max(_DRAWS.values()) if self.random_draws is None else self.random_draws

    def drawn_for(self, condition: Condition, output: Output) -> bool:
        """Return whether a condition belongs to a measure: all but random directions above 4."""
        number = condition.number
        return self.random_draws is not None or number is None or number <= _DRAWS[output]


class Controls(RandomDirections):
    """What every effect is compared with, besides baseline and strength 0.

    Attributes:
        prompt: System prompt of the prompt condition; null leaves it out.
        random_draws: Independent random directions; null is 8 where options are scored and 4 for
            free texts.
        random_strengths: Their strengths; null takes every size of the steering strengths, so that
            each effect has a control of equal length (a random direction has no sign of its own).
    """

    prompt: str | None = _PROMPT
    random_strengths: tuple[float, ...] | None = None


class Steering(Spec):
    """The vector and how it is used.

    Attributes:
        layer: 0-based block; null takes the preset of the model, else half the depth; ``auto``
            chooses on the select split.
        read: Where activations are read, see the intervention ``caa``.
        estimator: How the direction is made, see the intervention ``caa``.
        positions: Where the vector is added.
        unit: Unit of the strengths: raw, unit or relative.
        strengths: Both signs; 0 is added as a control. Without any, baseline and prompt alone.
        drop_nonfinite: Leave out, and count, pairs whose activations are NaN or infinite.
    """

    layer: Annotated[int, Field(ge=0)] | Literal["auto"] | None = None
    read: Read = "answer_mean"
    estimator: Estimator = "mean_difference"
    positions: NamedPositions = "generated"
    unit: Unit = "relative"
    strengths: tuple[float, ...] = (-0.4, -0.2, 0.2, 0.4, 0.6)
    drop_nonfinite: bool = False

    @field_validator("strengths")
    @classmethod
    def _no_zero(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if 0 in value or len(set(value)) < len(value):
            raise ValueError("strengths must be distinct and not 0 (strength 0 is always added)")
        return value


def vector(
    name: str, layer: int | str, strength: float, steering: Steering, **more: Any
) -> Component:
    """Return an intervention that adds a vector as ``steering`` says.

    Args:
        name: ``caa``, ``bank``, or ``random`` for a control, which is not fitted.
        layer: 0-based block, or ``auto``.
        strength: In the unit of ``steering``.
        steering: Where and how.
        more: Further keys of the intervention.
    """
    made: dict[str, Any] = {"read": steering.read}
    if steering.estimator != "mean_difference":
        made["estimator"] = steering.estimator
    if steering.drop_nonfinite:
        made["drop_nonfinite"] = True
    config = {
        "layer": layer,
        "strength": strength,
        "unit": steering.unit,
        "positions": steering.positions,
        **(made if name != "random" else {}),
        **more,
    }
    return Component(name=name, config=config)


def chosen_layer(planner: Planner, steering: Steering) -> int | str:
    """Return the block that is steered: a file's, else the preset's, else half the depth."""
    if steering.layer is not None:
        return steering.layer
    return preset_layer(planner.resolved)


def preset_layer(model: ResolvedModel) -> int:
    """Return the block that is steered unless a file says which: a preset, else half the depth."""
    return layer_of(model.spec.id, model.card.num_layers)
