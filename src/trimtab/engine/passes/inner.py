"""What happens within a block, and blocks that are computed again for their gradients.

Shapes: T packed tokens, H hidden.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from trimtab.engine.acts.adapters import Additions, hook_additions
from trimtab.engine.acts.edits import Deltas, add
from trimtab.engine.passes.attention import Attention, attending
from trimtab.models.load import LoadedModel

Reader = Callable[[torch.Tensor], None]
"""Is given activations [T, H] at a place, edits included."""


@dataclass(frozen=True, eq=False)
class Inner:
    """What acts within blocks, and must act again where a block is computed again.

    Attributes:
        attention: What tokens attend to, and how.
        deltas: Edits; those before head mixers act within.
        additions: What adapters add to linear layers.
    """

    attention: Attention
    deltas: Deltas
    additions: Additions

    def within(self, loaded: LoadedModel, layer: int) -> Inner:
        """Return what of it acts within a block."""
        modules = set(loaded.layout.blocks[layer].modules())
        return Inner(
            self.attention,
            {place: d for place, d in self.deltas.items() if place == (layer, "heads")},
            {module: some for module, some in self.additions.items() if module in modules},
        )


@contextmanager
def recomputing(loaded: LoadedModel, inner: Inner) -> Iterator[None]:
    """Let blocks keep only what enters them; all within acts when they are computed again, too."""
    blocks = loaded.layout.blocks
    usual = {block: vars(block).get("forward") for block in blocks}
    for layer, block in enumerate(blocks):
        compute = partial(_compute, loaded, layer, block.forward, inner.within(loaded, layer))
        # an attribute of an instance stands before the method of its class
        vars(block)["forward"] = partial(checkpoint, compute, use_reentrant=False)
    try:
        yield
    finally:
        for block, forward in usual.items():
            if forward is None:
                del vars(block)["forward"]
            else:
                vars(block)["forward"] = forward


def _compute(
    loaded: LoadedModel,
    layer: int,
    forward: Callable[..., Any],
    inner: Inner,
    *args: Any,
    **kwargs: Any,
) -> Any:
    with ExitStack() as stack:
        stack.enter_context(attending(loaded, inner.attention))
        handles = hook_additions(inner.additions)
        for delta in inner.deltas.values():
            mixer = loaded.layout.head_mixers[layer]
            handles.append(mixer.register_forward_pre_hook(before(delta, None)))
        for handle in handles:
            stack.callback(handle.remove)
        return forward(*args, **kwargs)


def before(delta: tuple[torch.Tensor | None, torch.Tensor] | None, reader: Reader | None) -> Any:
    """Return the hook of an edit and a reader before a block's head mixer."""

    def hook(_module: nn.Module, args: tuple[Any, ...]) -> Any:
        h_1TH = args[0] if delta is None else add(args[0], *delta)
        if reader is not None:
            reader(h_1TH[0])
        return (h_1TH, *args[1:])

    return hook
