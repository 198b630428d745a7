"""Low-rank adapters of a model's linear layers, and which base they fit.

LoRA is Hu et al. 2021, arXiv 2106.09685; rank-stabilised scaling Kalajdzievski 2023, arXiv
2312.03732. Files of them are ``lora``'s, what they do to a forward ``engine.acts.adapters``'.

Shapes: R rank, I inputs and O outputs of a linear layer.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from trimtab.core.errors import ModelError
from trimtab.core.lazy import lazy

if TYPE_CHECKING:
    import torch
    from torch import nn

    from trimtab.models.layout import Layout
else:
    nn = lazy("torch.nn")

_PLACE = re.compile(r"(?:(?P<list>.+?)\.)?(?P<layer>\d+)\.(?P<inner>.+)")


@dataclass(frozen=True, eq=False)
class LowRank:
    """What is added to a linear layer's output for an input x: ``scaling * (x down^T) up^T``.

    Attributes:
        down: A, [R, I].
        up: B, [O, R].
        scaling: ``lora_alpha / R``, or ``lora_alpha / sqrt(R)`` if rank-stabilised.
        dropout: Share of the inputs that A does not see, drawn from torch's generator; only where
            gradients are asked for.
    """

    down: torch.Tensor
    up: torch.Tensor
    scaling: float
    dropout: float = 0.0


@dataclass(frozen=True, eq=False)
class Adapter:
    """Low-rank factors of linear layers within a model's blocks.

    Attributes:
        factors: By name of the layer: ``model.layers.3.self_attn.q_proj``, as in
            ``named_modules()`` of the causal model, or of its body (``layers.3.self_attn.q_proj``).
        identity: Hash of the content; None where it changes, as in training.
    """

    factors: Mapping[str, LowRank]
    identity: str | None = None

    @cached_property
    def by_block(self) -> dict[int, dict[str, LowRank]]:
        """The factors by 0-based block and by name within it, such as ``self_attn.q_proj``."""
        found: dict[int, dict[str, LowRank]] = {}
        for name, factor in self.factors.items():
            _, layer, inner = place_of(name)
            found.setdefault(layer, {})[inner] = factor
        return found

    @cached_property
    def lowest(self) -> int:
        """The first block that has factors: nothing below it depends on the adapter."""
        return min(self.by_block)

    @property
    def key(self) -> Hashable:
        """What adapters that do the same have in common."""
        return id(self) if self.identity is None else self.identity

    @property
    def requires_grad(self) -> bool:
        """Whether gradients are asked for."""
        return any(f.down.requires_grad or f.up.requires_grad for f in self.factors.values())

    def scaled(self, strength: float) -> Adapter:
        """Return the adapter with everything that it adds multiplied by ``strength``."""
        factors = {n: replace(f, scaling=strength * f.scaling) for n, f in self.factors.items()}
        identity = None if self.identity is None else f"{self.identity}*{strength!r}"
        return Adapter(factors, identity)


def place_of(name: str) -> tuple[str, int, str]:
    """Return the list of blocks, the 0-based block and the name within it of a layer's name.

    Raises:
        ModelError: It is outside the blocks, such as the output head.
    """
    match = _PLACE.fullmatch(name)
    if match is None:
        raise ModelError(
            f"An adapter changes {name!r}, which is outside the model's blocks.",
            hint="Adapters of linear layers within blocks are supported, those of the output head "
            "and of embeddings are not.",
        )
    return match["list"] or "", int(match["layer"]), match["inner"]


def check_base(adapter: Adapter, layout: Layout) -> None:
    """Raise ModelError if the base has no such layer, or one of another shape."""
    blocks = layout.block_names[0].rpartition(".")[0]
    modules = [dict(block.named_modules()) for block in layout.blocks]
    for name, factor in adapter.factors.items():
        prefix, layer, inner = place_of(name)
        if prefix and not f".{blocks}".endswith(f".{prefix}"):
            raise _unknown(name, layout)
        if layer >= layout.num_layers:
            raise ModelError(
                f"An adapter changes {name!r}; the model has blocks 0 to {layout.num_layers - 1}.",
                hint="Adapters fit only the base that they were trained on.",
            )
        module = modules[layer].get(inner)
        sizes = None if module is None else _sizes(module)
        if sizes is None:
            raise _unknown(name, layout)
        wanted = (factor.down.shape[1], factor.up.shape[0])
        if factor.down.dim() != 2 or len(factor.down) != factor.up.shape[1] or wanted != sizes:
            raise ModelError(
                f"An adapter's factors of {name!r} have the shapes {tuple(factor.down.shape)} and "
                f"{tuple(factor.up.shape)}; the layer has {sizes[0]} inputs and {sizes[1]} "
                "outputs.",
                hint="Adapters fit only the base that they were trained on.",
            )


def linear_layers(layout: Layout) -> Iterator[tuple[str, tuple[int, int]]]:
    """Yield the name and the numbers of inputs and outputs of every linear layer of the blocks."""
    for block_name, block in zip(layout.block_names, layout.blocks, strict=True):
        for inner, module in block.named_modules():
            sizes = _sizes(module)
            if sizes is not None:
                yield f"{block_name}.{inner}", sizes


def _sizes(module: nn.Module) -> tuple[int, int] | None:
    """Return the inputs and outputs of a linear layer, GPT-2's transposed one among them."""
    if isinstance(module, nn.Linear):
        return module.in_features, module.out_features
    if type(module).__name__ == "Conv1D":
        weight: torch.Tensor = module.weight  # type: ignore[assignment]
        return weight.shape[0], weight.shape[1]
    return None


def _unknown(name: str, layout: Layout) -> ModelError:
    inner = sorted({place_of(layer)[2] for layer, _ in linear_layers(layout)})
    return ModelError(
        f"An adapter changes {name!r}, and the model has no linear layer of that name.",
        hint=f"Its blocks, {layout.block_names[0]} and on, have {', '.join(inner)}.",
    )
