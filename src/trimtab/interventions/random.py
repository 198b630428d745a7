"""The control of every vector: a random direction of the same length at the same place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field, field_serializer

from trimtab.core.errors import ConfigError
from trimtab.core.keys import derive_seed
from trimtab.core.lazy import lazy
from trimtab.core.spec import Component
from trimtab.interventions.base import INTERVENTIONS, Intervention, determining
from trimtab.steering.additive import AdditiveConfig, layer_of, strength_in_units, vector_at
from trimtab.steering.fitted import Fitted

if TYPE_CHECKING:
    import torch

    from trimtab.engine import request as rq
else:
    torch = lazy("torch")
    rq = lazy("trimtab.engine.request")

__all__ = ["Random"]


class _Config(AdditiveConfig):
    """Which direction, and whose length it copies.

    Attributes:
        like: The intervention whose vector gives the length, e.g. ``{name: caa, layer: 15}``.
        draw: Number of the draw; different numbers give independent directions.
    """

    like: Component
    draw: int = Field(default=0, ge=0)

    @field_serializer("like")
    def _without_paths(self, like: Component) -> dict[str, Any]:
        """Write ``like`` as keys see it; what it is fitted by stands in the artifact's key."""
        kept = like.model_copy(update={"config": determining(like)})
        return kept.model_dump(mode="json", exclude_defaults=True)


class Random(Intervention[_Config]):
    """Adds a direction drawn evenly from the sphere, as long as ``like``'s vector."""

    Config = _Config

    def fitted_by(self) -> Component:
        """Return what ``like`` is fitted by: the artifact is shared with it."""
        component = INTERVENTIONS.build(self.config.like.name, self.config.like.config).fitted_by()
        if component is None:
            raise ConfigError(
                f"random: like = {self.config.like.name!r} fits no vector whose length to copy."
            )
        return component

    def edits(self, fitted: Fitted | None) -> tuple[rq.Edit, ...]:
        """Return one edit with the drawn direction."""
        assert fitted is not None
        layer = layer_of(self.config, fitted)
        vector = vector_at(fitted, layer)
        direction = random_like(vector, layer, self.config.draw)
        raw = strength_in_units(self.config, fitted)["raw"]
        return (rq.Edit(layer, direction, raw, self.config.positions),)

    def strengths(self, fitted: Fitted | None) -> dict[str, float]:
        """Return the strength as ``raw``, ``unit`` and ``relative``."""
        assert fitted is not None
        return strength_in_units(self.config, fitted)


def random_like(vector_H: torch.Tensor, layer: int, draw: int) -> torch.Tensor:
    """Return draw number ``draw`` of a layer's random directions [H], as long as ``vector_H``."""
    generator = torch.Generator().manual_seed(derive_seed("random", draw, layer))
    drawn_H = torch.randn(vector_H.shape, generator=generator, dtype=torch.float64)
    scaled_H: torch.Tensor = drawn_H / drawn_H.norm() * vector_H.double().norm()
    return scaled_H.float()
