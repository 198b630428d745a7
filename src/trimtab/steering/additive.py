"""What interventions that add a vector to a block's output share: where and how strongly."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, field_validator

from trimtab.core.errors import ConfigError
from trimtab.steering.fitted import Fitted
from trimtab.steering.gated import GatedConfig

if TYPE_CHECKING:
    import torch

Unit = Literal["raw", "unit", "relative"]
NamedPositions = Literal["all", "prompt", "last_prompt", "generated", "after_prompt"]


class AdditiveConfig(GatedConfig):
    """Where a vector is added, and how much of it.

    Attributes:
        layer: 0-based block whose output is edited; ``auto``: the one that the fit chose on the
            select split, for interventions whose fit chooses.
        strength: How much; negative turns the direction round, 0 is exactly the baseline.
        unit: ``raw`` multiplies the vector as fitted; ``unit`` multiplies its unit vector, so that
            strength is the length of what is added; ``relative`` is that length as a fraction of
            the mean residual norm at the layer, which transfers between layers and models.
        positions: Where it acts, see ``engine.request.Positions``.
    """

    layer: Annotated[int, Field(ge=0)] | Literal["auto"]
    strength: float = 0.0
    unit: Unit = "relative"
    positions: NamedPositions = "generated"

    def blocks(self) -> tuple[int, ...]:
        """Return every block that is read or edited, sorted."""
        return () if self.layer == "auto" else (self.layer,)

    @field_validator("strength")
    @classmethod
    def _finite(cls, value: float) -> float:
        if not math.isfinite(value):
            raise ValueError("the strength must be a finite number")
        return value


def layer_of(config: AdditiveConfig, fitted: Fitted) -> int:
    """Return the block to edit; raise ConfigError if it is ``auto`` and the fit chose none."""
    if config.layer != "auto":
        return config.layer
    choice = fitted.info.get("layer_choice")
    if choice is None:
        raise ConfigError(
            "layer: auto, but the vectors were fitted without a choice of layer.",
            hint="Give `layer: auto` to the intervention that fits them, too.",
        )
    chosen: int = choice["chosen"]
    return chosen


def vector_at(fitted: Fitted, layer: int) -> torch.Tensor:
    """Return the fitted direction [H] of ``layer``; raise ConfigError if it was not fitted."""
    name = f"l{layer}.direction"
    if name not in fitted.tensors:
        known = sorted(int(k[1:].partition(".")[0]) for k in fitted.tensors if "direction" in k)
        raise ConfigError(f"The vectors hold layers {known}, not {layer}.")
    return fitted.tensors[name]


def strength_in_units(
    config: AdditiveConfig, fitted: Fitted, vector: torch.Tensor | None = None
) -> dict[str, float]:
    """Return the strength in all three units; raise ConfigError for a zero vector.

    ``vector`` is what is added at strength 1; None is the fitted direction of the layer.
    """
    layer = layer_of(config, fitted)
    norm = float((vector_at(fitted, layer) if vector is None else vector).norm())
    residual = float(fitted.tensors[f"l{layer}.residual_norm"])
    if norm == 0.0:
        raise ConfigError(
            f"The vector of layer {layer} is zero: its positive and negative answers do "
            "not differ there."
        )
    length = {
        "raw": config.strength * norm,
        "unit": config.strength,
        "relative": config.strength * residual,
    }[config.unit]
    return {"raw": length / norm, "unit": length, "relative": length / residual}
