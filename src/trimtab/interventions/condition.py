"""A condition on prompts, for the option ``gate`` of other interventions; changes nothing itself.

Lee et al. 2024, "Programming Refusal with Conditional Activation Steering", arXiv 2409.05907. The
direction is the first principal component of the prompts' states; block, threshold and side are
those with the best F1. Differences: states are those of whole prompts of two tasks, which are not
paired, so they are centred between the two means; they are block outputs, where the released code
reads block inputs; F1 is measured on the select split; and every threshold between two observed
values is tried, in place of a grid of fixed step.

Shapes: N prompts, L layers, H hidden.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trimtab.core.errors import ConfigError, DataError
from trimtab.core.keys import content_key
from trimtab.core.lazy import lazy
from trimtab.core.needs import Need
from trimtab.core.spec import Component
from trimtab.interventions.base import Intervention
from trimtab.steering.captures.reading import read_each
from trimtab.steering.fitted import FitContext, Fitted
from trimtab.steering.gated import GateConfig
from trimtab.steering.room import require_room

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

    from trimtab.engine import request as rq
    from trimtab.engine.acts import gates
else:
    torch = lazy("torch")
    gates = lazy("trimtab.engine.acts.gates")
    rq = lazy("trimtab.engine.request")

__all__ = ["Condition"]


@dataclass(frozen=True)
class Cut:
    """A threshold that tells values apart: F1 of ``value > threshold`` (or below), and its gap."""

    f1: float
    gap: float
    threshold: float
    above: bool


class Condition(Intervention[GateConfig]):
    """Fits when a gate is open."""

    Config = GateConfig

    MAKES = ("gate",)
    SEEDED = False

    def needs(self) -> dict[str, Need]:
        """Raise ConfigError: a condition is part of another intervention."""
        raise ConfigError(
            "intervention 'condition' changes nothing by itself.",
            hint="Use it as the key `gate` of another: {name: caa, gate: {open_on: ..., ...}}.",
        )

    def determines(self, component: Component) -> dict[str, Any]:
        """Return how prompts are read and compared; which prompts they are stands in the inputs."""
        config = self.config
        asked = {"layers": config.layers, "read": config.read, "similarity": config.similarity}
        return {"fit": [component.name, self.VERSION], "asked": asked}

    def fit(self, context: FitContext) -> Fitted:
        """Return the direction [H] of the best block, its threshold and what else was tried."""
        for split in ("fit", "select"):
            for holds in (True, False):
                if not any(p.split == split and p.holds == holds for p in context.prompts):
                    raise DataError(
                        f"A condition needs prompts of split {split!r} for which it "
                        f"{'holds' if holds else 'fails'}; there are none."
                    )
        layers = self.config.layers or tuple(range(max(1, context.engine.num_layers // 2)))
        state_NLH = self._states(context, layers)
        fit_N = torch.tensor([p.split == "fit" for p in context.prompts])
        holds_N = torch.tensor([p.holds for p in context.prompts])
        found: dict[int, tuple[Cut, torch.Tensor]] = {}
        for i, layer in enumerate(layers):
            state_NH = state_NLH[:, i]
            vector_H = principal(state_NH[fit_N], holds_N[fit_N])
            values = [
                gates.similarity(self.config.similarity, vector_H, state_H)
                for state_H in state_NH[~fit_N]
            ]
            found[layer] = best_cut(values, holds_N[~fit_N].tolist()), vector_H
        chosen = max(found, key=lambda layer: (found[layer][0].f1, found[layer][0].gap, -layer))
        cut, vector_H = found[chosen]
        info: dict[str, Any] = {
            "method": "principal component, best F1",
            "index": "block_output_0based",
            "layer": chosen,
            "threshold": cut.threshold,
            "above": cut.above,
            "f1": cut.f1,
            "f1_by_layer": {str(layer): one.f1 for layer, (one, _) in found.items()},
            "num_prompts": {"fit": int(fit_N.sum()), "select": int((~fit_N).sum())},
        }
        return Fitted({"gate.direction": vector_H.float()}, info)

    def _states(self, context: FitContext, layers: tuple[int, ...]) -> torch.Tensor:
        """Return the prompts' states [N, L, H], float64."""
        requests = []
        for number, prompt in enumerate(context.prompts):
            ids = context.engine.renderer.prompt(
                prompt.sample.messages, prompt.rendering, prompt.sample.preamble
            )
            start = 0 if self.config.read == "mean" else len(ids) - 1
            want = rq.Activations(layers, (), start, len(ids))
            requests.append(rq.Request(number, tuple(ids), want))
        asked = [prompt.sample.messages[-1].content for prompt in context.prompts]
        require_room(context.engine, requests, asked)
        about = {
            "what": "prompts of a condition",
            "read": self.config.read,
            "prompts": content_key([[p.sample, p.rendering] for p in context.prompts]),
        }
        read = {result.key: result.mean_LH for result in read_each(context, requests, about)}
        return torch.stack([read[number] for number in range(len(requests))]).double()


def principal(state_NH: torch.Tensor, holds_N: torch.Tensor) -> torch.Tensor:
    """Return the unit first principal component [H], turned to where the condition holds."""
    holding, failing = (state_NH[mask].mean(dim=0) for mask in (holds_N, ~holds_N))
    centred_NH = state_NH - (holding + failing) / 2
    direction: torch.Tensor = torch.linalg.svd(centred_NH, full_matrices=False).Vh[0]
    return direction if direction @ (holding - failing) >= 0 else -direction


def best_cut(values: Sequence[float], holds: Sequence[bool]) -> Cut:
    """Return the threshold and side with the best F1; of equals the one in the widest gap."""
    ordered = sorted(set(values))
    edges = list(itertools.pairwise(ordered)) or [(ordered[0], ordered[0])]
    cuts = []
    for low, high in edges:
        threshold = low + (high - low) / 2
        for above in (True, False):
            said = [(value > threshold) == above for value in values]
            both = sum(s and h for s, h in zip(said, holds, strict=True))
            f1 = 2 * both / (sum(said) + sum(holds))
            cuts.append(Cut(f1, high - low, threshold, above))
    return max(cuts, key=lambda cut: (cut.f1, cut.gap))
