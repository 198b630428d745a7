"""Low-rank factors as parameters of a network that is trained."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from torch import nn

from trimtab.models.lowrank import Adapter, LowRank, linear_layers

if TYPE_CHECKING:
    from trimtab.models.layout import Layout
    from trimtab.models.load import LoadedModel


class TrainedAdapter(nn.Module):
    """Factors of some linear layers of a model, whose own weights stay as they are.

    Attributes:
        adapter: The factors as an adapter of the model.
    """

    def __init__(
        self,
        loaded: LoadedModel,
        layers: Collection[str],
        rank: int,
        scaling: float,
        dropout: float = 0.0,
    ) -> None:
        """Draw weights from torch's generator, in the order in which peft draws them.

        Args:
            loaded: The model; it may be used for other things beside.
            layers: Names of the layers.
            rank: Of all factors.
            scaling: What the factors' product is multiplied by.
            dropout: Share of the inputs that are dropped in training.
        """
        super().__init__()
        factors = draw_factors(self, loaded.layout, {n: n for n in layers}, rank, scaling)
        self.adapter = Adapter({n: replace(f, dropout=dropout) for n, f in factors.items()})
        self.to(loaded.device)


def draw_factors(
    root: nn.Module, layout: Layout, names: Mapping[str, str], rank: int, scaling: float
) -> dict[str, LowRank]:
    """Put new factors below ``root``, and return them by the name of their layer.

    Args:
        root: Gets a module ``lora_A.default`` and ``lora_B.default`` for each layer.
        layout: Of the model.
        names: For each layer where its modules are put.
        rank: Of all factors.
        scaling: Of all factors.
    """
    factors: dict[str, LowRank] = {}
    for name, (num_in, num_out) in linear_layers(layout):
        if name not in names:
            continue
        down = nn.Linear(num_in, rank, bias=False)
        up = nn.Linear(rank, num_out, bias=False)
        nn.init.kaiming_uniform_(down.weight, a=math.sqrt(5))
        nn.init.zeros_(up.weight)
        _put(root, f"{names[name]}.lora_A.default", down)
        _put(root, f"{names[name]}.lora_B.default", up)
        factors[name] = LowRank(down.weight, up.weight, scaling)
    return factors


def _put(root: nn.Module, path: str, module: nn.Module) -> None:
    """Put a module at a path below ``root``, and empty ones on the way to it."""
    *parents, last = path.split(".")
    for name in parents:
        if name not in root._modules:
            root.add_module(name, nn.Module())
        root = root.get_submodule(name)
    root.add_module(last, module)
