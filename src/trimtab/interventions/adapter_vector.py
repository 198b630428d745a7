"""Turn an adapter into a vector: what it adds to activations, on average, added without it.

The vector of a block is the mean difference between the adapted model's and the base model's
activations on the same answers to the same prompts, both answers of each contrast pair. So a tuned
model and one that is steered by what tuning did to it stand in one table. That fine-tuning on a
narrow task leaves such a difference, and that it can be read and steered with, is Minder et al.
2025, arXiv 2510.13900, who read the first tokens of unrelated texts.

Shapes: N pairs, H hidden.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import Field, NonNegativeInt, model_validator

from trimtab.core.errors import DataError
from trimtab.core.lazy import lazy
from trimtab.core.needs import Made, Need
from trimtab.core.spec import Component
from trimtab.interventions.base import INTERVENTIONS, Intervention, Treatment, identity_of
from trimtab.steering import estimators
from trimtab.steering.additive import AdditiveConfig, strength_in_units, vector_at
from trimtab.steering.fitted import FitContext, FitData, Fitted
from trimtab.steering.gated import gated
from trimtab.steering.pairs import PairRows, Read, pair_inputs, read_pairs, require_two
from trimtab.steering.reliability import reliability

if TYPE_CHECKING:
    import torch

    from trimtab.engine import request as rq
    from trimtab.models.memory import ModelCard
else:
    torch = lazy("torch")
    rq = lazy("trimtab.engine.request")

__all__ = ["AdapterVector"]


class _Config(AdditiveConfig):
    """Whose vector, where it is read, and where and how strongly it is added.

    Attributes:
        adapter: The intervention ``adapter``: a folder, or a training.
        layers: Blocks to fit, in one pass; ``layer`` is added if it is missing.
        read: Which tokens of answers are read, see the intervention ``caa``.
    """

    adapter: Component = Field(exclude=True)
    layers: tuple[NonNegativeInt, ...] = ()
    read: Read = "answer_mean"

    @model_validator(mode="after")
    def _makes_sense(self) -> _Config:
        if self.adapter.name != "adapter":
            raise ValueError("`adapter` must be the intervention `adapter`")
        if self.layer == "auto":
            raise ValueError("name a `layer`: none is chosen for the vector of an adapter")
        return self

    def blocks(self) -> tuple[int, ...]:
        """Return every block that is named, sorted."""
        return tuple(sorted({*self.layers, *super().blocks()}))


class AdapterVector(Intervention[_Config]):
    """Adds ``strength`` times what an adapter does to activations, on average."""

    Config = _Config

    def __init__(self, config: _Config) -> None:
        """Build the adapter's intervention; raise ConfigError if its settings are wrong."""
        super().__init__(config)
        self._adapter = INTERVENTIONS.build(config.adapter.name, config.adapter.config)

    def check_model(self, card: ModelCard) -> None:
        """Raise what the adapter's intervention raises."""
        self._adapter.check_model(card)

    def needs(self) -> dict[str, Need]:
        """Return the fit of the vectors, which waits for the adapter."""
        blocks = list(self.config.blocks())
        given = {"layer": blocks[0], "layers": blocks, "read": self.config.read}
        component = Component(
            name="adapter_vector",
            config={**given, "adapter": self.config.adapter.model_dump(mode="json")},
        )
        made = {name: Made(need) for name, need in self._adapter.needs().items()}
        return {"vector": Need(component, {**pair_inputs(), **made}), **self.config.gate_need()}

    def determines(self, component: Component) -> dict[str, Any]:
        """Return what determines the fit, how much of the adapter is taken among it."""
        adapter = Component.model_validate(component.config["adapter"])
        return {**super().determines(component), "of": identity_of(adapter)}

    def check_input(self, data: FitData) -> None:
        """Raise DataError for fewer than two pairs."""
        require_two(data.pairs)

    def fit(self, context: FitContext) -> Fitted:
        """Return the mean change of activations and the base's residual norms, layer by layer.

        Raises:
            DataError: The adapter changes nothing.
        """
        needed = {name: context.made[name] for name in self._adapter.needs()}
        adapter = self._adapter.treat(needed).adapter
        if adapter is None:
            raise DataError("An adapter at strength 0 changes nothing, so it has no vector.")
        layers, read = self.config.blocks(), self.config.read
        with (
            read_pairs(context, context.pairs, layers, read) as base,
            read_pairs(context, context.pairs, layers, read, adapter=adapter) as tuned,
        ):
            tensors: dict[str, torch.Tensor] = {}
            per_layer: dict[str, Any] = {}
            for layer in layers:
                change_NH = _change(base, tuned, layer)
                direction_H = estimators.mean_difference(change_NH)
                norm = base.residual_norm(layer)
                tensors[f"l{layer}.direction"] = direction_H.float()
                tensors[f"l{layer}.residual_norm"] = torch.tensor(norm)
                units = estimators.by_question(change_NH, base.questions)
                per_layer[str(layer)] = {
                    "vector_norm": float(direction_H.norm()),
                    "residual_norm": norm,
                    "reliability": reliability(units, context.seed).as_dict(),
                }
            about = {
                "method": "tuned minus base",
                "index": "block_output_0based",
                "read": read,
                "rendering": context.rendering,
                "num_pairs": len(base.pairs),
                "num_questions": len(set(base.questions)),
                "adapter_content": adapter.identity,
                "layers": per_layer,
            }
        return Fitted(tensors, about)

    def treat(self, fitted: Mapping[str, Fitted]) -> Treatment:
        """Return one edit: the vector of ``layer`` at the chosen strength and positions."""
        vectors, layer = fitted["vector"], self.config.layer
        assert layer != "auto"
        raw = strength_in_units(self.config, vectors)["raw"]
        edit = rq.Edit(layer, vector_at(vectors, layer), raw, self.config.positions)
        return Treatment(edits=gated((edit,), self.config, fitted))

    def strengths(self, fitted: Mapping[str, Fitted]) -> dict[str, float]:
        """Return the strength as ``raw``, ``unit`` and ``relative``."""
        return strength_in_units(self.config, fitted["vector"])


def _change(base: PairRows, tuned: PairRows, layer: int) -> torch.Tensor:
    """Return tuned less base activations [N, H], the mean of both answers, in float64."""
    positive_NH, negative_NH = (
        after_NH - before_NH
        for before_NH, after_NH in zip(base.answers(layer), tuned.answers(layer), strict=True)
    )
    return (positive_NH + negative_NH) / 2
