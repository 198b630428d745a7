"""Contrastive activation addition: add the mean difference between two kinds of answers.

Panickssery et al., "Steering Llama 2 via Contrastive Activation Addition", arXiv 2312.06681. As
released, activations are read at the answer letter of A/B questions, and the vector is added at
every position after the prompt. Here the place to read is a choice (``read``), any contrast pairs
will do, several layers come from one pass, and the strength may be given relative to the residual
norm; vectors are not rescaled across behaviours.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from pydantic import NonNegativeInt

from trimtab.core.errors import DataError
from trimtab.core.lazy import lazy
from trimtab.core.spec import Component
from trimtab.core.types import ContrastPair, Rendering
from trimtab.interventions import _estimators as estimators
from trimtab.interventions._additive import AdditiveConfig, doses, vector_at
from trimtab.interventions.base import FitContext, Fitted, Intervention

if TYPE_CHECKING:
    import torch

    from trimtab.engine import request as rq
else:
    torch = lazy("torch")
    rq = lazy("trimtab.engine.request")

__all__ = ["Caa"]

Read = Literal["answer_mean", "last", "letter"]


class _Config(AdditiveConfig):
    """How the vector is made; where and how strongly it is added.

    Attributes:
        layers: Blocks to fit, in one pass; ``layer`` is added if it is missing.
        read: ``answer_mean`` averages over the answer's tokens; ``last`` reads its last token;
            ``letter`` reads the first token with a letter or digit in it, the A of ``(A)``.
    """

    layers: tuple[NonNegativeInt, ...] = ()
    read: Read = "answer_mean"

    def blocks(self) -> tuple[int, ...]:
        """Return every block that is fitted, sorted."""
        return tuple(sorted({*self.layers, self.layer}))


class Caa(Intervention[_Config]):
    """Adds ``strength`` times the mean difference of positive and negative answers' activations."""

    Config = _Config

    def fitted_by(self) -> Component:
        """Return what determines the vectors: the layers and where they are read."""
        layers = list(self.config.blocks())
        return Component(
            name="caa",
            config={"layer": layers[0], "layers": layers, "read": self.config.read},
        )

    def check_pairs(self, pairs: Sequence[ContrastPair], _rendering: Rendering) -> None:
        """Raise DataError for a single pair: it has no reliability."""
        if len(pairs) < 2:
            raise DataError(f"CAA needs at least 2 contrast pairs, there are {len(pairs)}.")

    def fit(self, context: FitContext) -> Fitted:
        """Return directions and residual norms of every layer, with their reliability."""
        self.check_pairs(context.pairs, context.rendering)
        layers = self.config.blocks()
        requests: list[rq.Request] = []
        for pair in context.pairs:
            requests += _requests(context, pair, layers, self.config.read)
        read = {r.key: r for r in context.engine.run(requests)}
        difference_NLH = torch.stack(
            [_mean(read[p.id, True]) - _mean(read[p.id, False]) for p in context.pairs]
        )
        norm_L = torch.stack([r.norm_L for r in _activations(read)]).double().mean(dim=0)
        return _collect(context, layers, self.config.read, difference_NLH, norm_L)

    def edits(self, fitted: Fitted | None) -> tuple[rq.Edit, ...]:
        """Return one edit: the vector of ``layer`` at the chosen strength and positions."""
        assert fitted is not None
        vector = vector_at(fitted, self.config.layer)
        raw = doses(self.config, fitted)["raw"]
        return (rq.Edit(self.config.layer, vector, raw, self.config.positions),)

    def doses(self, fitted: Fitted | None) -> dict[str, float]:
        """Return the strength as ``raw``, ``unit`` and ``relative``."""
        assert fitted is not None
        return doses(self.config, fitted)


def _requests(
    context: FitContext, pair: ContrastPair, layers: tuple[int, ...], read: Read
) -> list[rq.Request]:
    """Return two reads: keys (pair id, whether positive)."""
    renderer = context.engine.renderer
    prompt, answers = renderer.with_answers(
        pair.messages, [pair.positive, pair.negative], context.rendering, pair.preamble
    )
    requests = []
    for answer, positive in zip(answers, (True, False), strict=True):
        if not answer:
            raise DataError(f"Contrast pair {pair.id!r} has an empty answer.")
        first, stop = _span(renderer, answer, read)
        want = rq.Activations(layers, tuple(answer), len(prompt) + first, len(prompt) + stop)
        requests.append(rq.Request((pair.id, positive), tuple(prompt), want))
    return requests


def _span(renderer: Any, answer: Sequence[int], read: Read) -> tuple[int, int]:
    """Return which of the answer's tokens are read."""
    if read == "answer_mean":
        return 0, len(answer)
    if read == "last":
        return len(answer) - 1, len(answer)
    for i, token in enumerate(answer):
        if any(c.isalnum() for c in renderer.decode([token])):
            return i, i + 1
    raise DataError(f"No token of the answer {renderer.decode(list(answer))!r} holds a letter.")


def _mean(result: rq.Result) -> torch.Tensor:
    assert isinstance(result, rq.ActivationsResult)
    return result.mean_LH.double()


def _activations(read: dict[Any, rq.Result]) -> list[rq.ActivationsResult]:
    return [r for r in read.values() if isinstance(r, rq.ActivationsResult)]


def _collect(
    context: FitContext,
    layers: tuple[int, ...],
    read: Read,
    difference_NLH: torch.Tensor,
    norm_L: torch.Tensor,
) -> Fitted:
    questions = [pair.question_id for pair in context.pairs]
    tensors: dict[str, torch.Tensor] = {}
    per_layer: dict[str, Any] = {}
    for i, layer in enumerate(layers):
        difference_NH = difference_NLH[:, i]
        direction = estimators.mean_difference(difference_NH)
        tensors[f"l{layer}.direction"] = direction.float()
        tensors[f"l{layer}.residual_norm"] = norm_L[i].float()
        units = estimators.by_question(difference_NH, questions)
        per_layer[str(layer)] = {
            "vector_norm": float(direction.norm()),
            "residual_norm": float(norm_L[i]),
            "reliability": estimators.reliability(units, context.seed).as_dict(),
        }
    info = {
        "method": "mean difference",
        "index": "block_output_0based",
        "read": read,
        "rendering": context.rendering,
        "num_pairs": len(questions),
        "num_questions": len(set(questions)),
        "layers": per_layer,
    }
    return Fitted(tensors, info)
