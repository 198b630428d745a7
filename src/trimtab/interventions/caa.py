"""Contrastive activation addition: add the mean difference between two kinds of answers.

Panickssery et al., "Steering Llama 2 via Contrastive Activation Addition", arXiv 2312.06681. As
released, activations are read at the answer letter of A/B questions, and the vector is added at
every position after the prompt. Here the place to read is a choice (``read``), any contrast pairs
will do, several layers come from one pass, and the strength may be given relative to the residual
norm; vectors are not rescaled across behaviours. Other estimators than the mean difference make
other directions of the same length from the same activations.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import NonNegativeInt

from trimtab.core.lazy import lazy
from trimtab.core.needs import Need
from trimtab.core.spec import Component
from trimtab.interventions.base import Intervention, Treatment
from trimtab.steering import estimators
from trimtab.steering.additive import AdditiveConfig, layer_of, strength_in_units, vector_at
from trimtab.steering.fitted import FitContext, FitData, Fitted
from trimtab.steering.gated import gated
from trimtab.steering.layers import choose_layer
from trimtab.steering.pairs import PairRows, Read, pair_inputs, read_pairs, require_two
from trimtab.steering.reliability import reliability

if TYPE_CHECKING:
    import torch

    from trimtab.engine import request as rq
else:
    torch = lazy("torch")
    rq = lazy("trimtab.engine.request")

__all__ = ["Caa"]


class CaaConfig(AdditiveConfig):
    """How the vector is made; where and how strongly it is added.

    Attributes:
        layers: Blocks to fit, in one pass; ``layer`` is added if it is missing. With ``layer:
            auto`` those to choose from; none are all.
        read: ``answer_mean`` averages over the answer's tokens; ``last`` reads its last token;
            ``letter`` reads the first token with a letter or digit in it, the A of ``(A)``.
        estimator: ``mean_difference`` as published; ``pca``, the first principal direction of the
            differences; ``probe``, a logistic regression of positive against negative answers.
        drop_nonfinite: Leave out, and count, pairs whose activations are NaN or infinite.
    """

    layers: tuple[NonNegativeInt, ...] = ()
    read: Read = "answer_mean"
    estimator: estimators.Estimator = "mean_difference"
    drop_nonfinite: bool = False

    def blocks(self) -> tuple[int, ...]:
        """Return every block that is named, sorted."""
        return tuple(sorted({*self.layers, *super().blocks()}))

    def fitted_with(self) -> dict[str, Any]:
        """Return what determines the vectors: where they are read, and how they are made."""
        layers = list(self.blocks())
        layer = "auto" if self.layer == "auto" else layers[0]
        made = {"estimator": self.estimator, "drop_nonfinite": self.drop_nonfinite}
        defaults = type(self).model_fields
        others = {k: v for k, v in made.items() if v != defaults[k].default}
        return {"layer": layer, "layers": layers, "read": self.read, **others}


class Caa(Intervention[CaaConfig]):
    """Adds ``strength`` times the mean difference of positive and negative answers' activations."""

    Config = CaaConfig

    def needs(self) -> dict[str, Need]:
        """Return the fit of the vectors: the layers, where they are read, the estimator.

        A layer that is to be chosen is chosen on the select split.
        """
        component = Component(name="caa", config=self.config.fitted_with())
        inputs = pair_inputs(select=self.config.layer == "auto")
        return {"vector": Need(component, inputs), **self.config.gate_need()}

    def check_input(self, data: FitData) -> None:
        """Raise DataError for fewer than two pairs."""
        require_two(data.pairs)

    def fit(self, context: FitContext) -> Fitted:
        """Return directions and residual norms of every layer, with their reliability."""
        config = self.config
        layers = candidates(config, context)
        with read_pairs(
            context, context.pairs, layers, config.read, drop_nonfinite=config.drop_nonfinite
        ) as rows:
            choice = choose(config, context, rows)
            kept = layers if choice is None else (choice["chosen"],)
            return _collect(context, config, rows, kept, choice)

    def treat(self, fitted: Mapping[str, Fitted]) -> Treatment:
        """Return one edit: the vector of ``layer`` at the chosen strength and positions."""
        vectors = fitted["vector"]
        layer = layer_of(self.config, vectors)
        raw = strength_in_units(self.config, vectors)["raw"]
        edit = rq.Edit(layer, vector_at(vectors, layer), raw, self.config.positions)
        return Treatment(edits=gated((edit,), self.config, fitted))

    def strengths(self, fitted: Mapping[str, Fitted]) -> dict[str, float]:
        """Return the strength as ``raw``, ``unit`` and ``relative``."""
        return strength_in_units(self.config, fitted["vector"])


def candidates(config: CaaConfig, context: FitContext) -> tuple[int, ...]:
    """Return the blocks to read: those named, or all of them to choose from."""
    return config.blocks() or tuple(range(context.engine.num_layers))


def choose(config: CaaConfig, context: FitContext, rows: PairRows) -> dict[str, Any] | None:
    """Return the choice of a layer with its scores; None if the configuration names it."""
    if config.layer != "auto":
        return None
    with read_pairs(
        context, context.select, rows.layers, config.read, drop_nonfinite=config.drop_nonfinite
    ) as select:
        return choose_layer(context, rows, select, config.estimator)


def about_fit(
    context: FitContext, config: CaaConfig, rows: PairRows, choice: dict[str, Any] | None
) -> dict[str, Any]:
    """Return what ``artifact.json`` says of every fit on contrast pairs."""
    chosen = {} if choice is None else {"layer_choice": choice}
    return {
        "method": config.estimator.replace("_", " "),
        "index": "block_output_0based",
        "read": config.read,
        "rendering": context.rendering,
        "num_pairs": len(rows.pairs),
        "num_questions": len(set(rows.questions)),
        "num_dropped": len(rows.dropped),
        "dropped": rows.dropped,
        **chosen,
    }


def _collect(
    context: FitContext,
    config: CaaConfig,
    rows: PairRows,
    layers: tuple[int, ...],
    choice: dict[str, Any] | None,
) -> Fitted:
    tensors: dict[str, torch.Tensor] = {}
    per_layer: dict[str, Any] = {}
    for layer in layers:
        positive_NH, negative_NH = rows.answers(layer)
        direction_H = estimators.direction(config.estimator, positive_NH, negative_NH)
        norm = rows.residual_norm(layer)
        tensors[f"l{layer}.direction"] = direction_H.float()
        tensors[f"l{layer}.residual_norm"] = torch.tensor(norm)
        units = estimators.by_question(positive_NH - negative_NH, rows.questions)
        per_layer[str(layer)] = {
            "vector_norm": float(direction_H.norm()),
            "residual_norm": norm,
            "projections": estimators.mean_projections(direction_H, positive_NH, negative_NH),
            "reliability": reliability(units, context.seed).as_dict(),
        }
    return Fitted(tensors, {**about_fit(context, config, rows, choice), "layers": per_layer})
