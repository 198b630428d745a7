"""The control of every vector: a random direction of the same length at the same place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import Field, field_serializer

from trimtab.core.errors import ConfigError
from trimtab.core.keys import derive_seed
from trimtab.core.lazy import lazy
from trimtab.core.needs import Need
from trimtab.core.spec import Component
from trimtab.interventions.base import INTERVENTIONS, Intervention, Treatment, determining
from trimtab.steering.additive import AdditiveConfig, layer_of, strength_in_units, vector_at
from trimtab.steering.fitted import Fitted
from trimtab.steering.gated import gated

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

    def needs(self) -> dict[str, Need]:
        """Return what ``like`` is fitted by: the artifact is shared with it."""
        like = INTERVENTIONS.build(self.config.like.name, self.config.like.config).needs()
        if "vector" not in like:
            raise ConfigError(
                f"random: like = {self.config.like.name!r} fits no vector whose length to copy."
            )
        return {"vector": like["vector"], **self.config.gate_need()}

    def treat(self, fitted: Mapping[str, Fitted]) -> Treatment:
        """Return one edit with the drawn direction."""
        vectors = fitted["vector"]
        layer = layer_of(self.config, vectors)
        direction = random_like(vector_at(vectors, layer), layer, self.config.draw)
        raw = strength_in_units(self.config, vectors)["raw"]
        edit = rq.Edit(layer, direction, raw, self.config.positions)
        return Treatment(edits=gated((edit,), self.config, fitted))

    def strengths(self, fitted: Mapping[str, Fitted]) -> dict[str, float]:
        """Return the strength as ``raw``, ``unit`` and ``relative``."""
        return strength_in_units(self.config, fitted["vector"])


def random_like(vector_H: torch.Tensor, layer: int, draw: int) -> torch.Tensor:
    """Return draw number ``draw`` of a layer's random directions [H], as long as ``vector_H``."""
    generator = torch.Generator().manual_seed(derive_seed("random", draw, layer))
    drawn_H = torch.randn(vector_H.shape, generator=generator, dtype=torch.float64)
    scaled_H: torch.Tensor = drawn_H / drawn_H.norm() * vector_H.double().norm()
    return scaled_H.float()
