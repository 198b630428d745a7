"""A verifier: an adapter of a language model, and an energy from the last token's state.

An outcome verifier as in Cobbe et al. 2021, arXiv 2110.14168, which trains all weights, has a
language-modelling loss beside, and predicts at every token.

Shapes: B rows, H hidden.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from trimtab.models.lowrank import Adapter, linear_layers, place_of
from trimtab.models.nets.factors import draw_factors

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
        names: dict[str, str] = {}
        for name, _ in linear_layers(loaded.layout):
            _, layer, inner = place_of(name)
            names[name] = f"{_BODY}.{loaded.blocks_in_body}.{layer}.{inner}"
        factors = draw_factors(self, loaded.layout, names, rank, 2.0)
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
