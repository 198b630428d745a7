"""A verifier: an adapter of a language model, and an energy from the last token's state.

An outcome verifier as in Cobbe et al. 2021, arXiv 2110.14168, which trains all weights, has a
language-modelling loss beside, and predicts at every token.

Shapes: B rows, H hidden.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import nn

from trimtab.models.lowrank import Adapter, LowRank, linear_layers, place_of

if TYPE_CHECKING:
    from trimtab.models.load import LoadedModel

_BODY = "backbone.base_model.model"
"""Where the factors are: the names under which earlier versions kept them in their checkpoints."""


class Verifier(nn.Module):
    """What is trained: factors for every linear layer of the blocks, a norm and an energy.

    Attributes:
        adapter: The factors as an adapter of the model, whose own weights stay as they are.
    """

    def __init__(self, loaded: LoadedModel, rank: int) -> None:
        """Draw weights from torch's generator, in the order in which peft draws them.

        Args:
            loaded: The model; it may be used for other things beside.
            rank: Of the factors; their product is scaled by 2 (alpha is twice the rank).
        """
        super().__init__()
        factors: dict[str, LowRank] = {}
        for name, (num_in, num_out) in linear_layers(loaded.layout):
            _, layer, inner = place_of(name)
            in_body = f"{loaded.blocks_in_body}.{layer}.{inner}"
            down = nn.Linear(num_in, rank, bias=False)
            up = nn.Linear(rank, num_out, bias=False)
            nn.init.kaiming_uniform_(down.weight, a=math.sqrt(5))
            nn.init.zeros_(up.weight)
            _put(self, f"{_BODY}.{in_body}.lora_A.default", down)
            _put(self, f"{_BODY}.{in_body}.lora_B.default", up)
            factors[name] = LowRank(down.weight, up.weight, 2.0)
        self.adapter = Adapter(factors)
        width = loaded.layout.hidden_size
        self.norm = nn.LayerNorm(width)
        self.energy = nn.Linear(width, 1)
        nn.init.zeros_(self.energy.bias)
        self.to(loaded.device)

    def forward(self, last_BH: torch.Tensor) -> torch.Tensor:
        """Return energies [B] of the adapted model's final states of the last tokens [B, H]."""
        result: torch.Tensor = self.energy(self.norm(last_BH.float())).squeeze(-1)
        return result


def _put(root: nn.Module, path: str, module: nn.Module) -> None:
    """Put a module at a path below ``root``, and empty ones on the way to it."""
    *parents, last = path.split(".")
    for name in parents:
        if name not in root._modules:
            root.add_module(name, nn.Module())
        root = root.get_submodule(name)
    root.add_module(last, module)
