"""Adapters with random factors, and models that have one merged into their weights."""

from collections.abc import Sequence
from dataclasses import replace

import torch

from trimtab.models.load import LoadedModel, load_model
from trimtab.models.lowrank import Adapter, LowRank, linear_layers, place_of


def random_adapter(
    loaded: LoadedModel,
    targets: Sequence[str] = (),
    *,
    rank: int = 3,
    seed: int = 0,
    size: float = 0.4,
    blocks: Sequence[int] | None = None,
    trained: bool = False,
) -> Adapter:
    """Return factors of the layers whose names end so, of all of them if none is named.

    What they add is about ``size`` times as large as what goes in.
    """
    generator = torch.Generator().manual_seed(seed)
    factors = {}
    for name, (num_in, num_out) in linear_layers(loaded.layout):
        _, layer, inner = place_of(name)
        if (targets and not inner.endswith(tuple(targets))) or layer not in (blocks or [layer]):
            continue
        down = torch.randn((rank, num_in), generator=generator) / num_in**0.5
        up = torch.randn((num_out, rank), generator=generator) * size / rank**0.5
        factors[name] = LowRank(
            down.requires_grad_(trained), up.requires_grad_(trained), scaling=0.5 + seed % 3
        )
    assert factors
    return Adapter(factors)


def merged(loaded: LoadedModel, adapter: Adapter) -> LoadedModel:
    """Return another copy of a model whose weights hold the adapter."""
    copy = load_model(loaded.resolved)
    with torch.no_grad():
        for layer, factors in adapter.by_block.items():
            for inner, factor in factors.items():
                module = copy.layout.blocks[layer].get_submodule(inner)
                change = factor.scaling * factor.up.double() @ factor.down.double()
                if type(module).__name__ == "Conv1D":
                    change = change.T
                module.weight.copy_(module.weight.double() + change)
    return replace(copy)
