"""One forward of packed tokens through the Hugging Face modules, where edits and adapters act.

Tokens of many rows stand one after the other in a batch of one, so nothing is padded. Between
blocks the tokens may multiply: rows that were one so far part where an edit tells them apart.

Shapes: T packed tokens (a number that may grow from block to block), H hidden.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import nn

from trimtab.engine.acts.adapters import Additions, hook_additions
from trimtab.engine.acts.edits import Deltas, add
from trimtab.engine.passes.attention import Attention, attending
from trimtab.engine.passes.inner import Inner, Reader, before, recomputing
from trimtab.engine.passes.rotation import rotating
from trimtab.engine.request import Place
from trimtab.models.load import LoadedModel


def forward(
    loaded: LoadedModel,
    ids_T: torch.Tensor,
    position_T: torch.Tensor,
    attention: Attention,
    deltas: Deltas,
    expand: Mapping[int, torch.Tensor] | None = None,
    readers: Mapping[Place, Reader] | None = None,
    additions: Additions | None = None,
    length_T: torch.Tensor | None = None,
    recompute: bool = False,
) -> torch.Tensor:
    """Run tokens through the body; return final hidden states [T', H].

    Args:
        loaded: The model.
        ids_T: Token ids.
        position_T: Their absolute positions.
        attention: What they attend to, and how.
        deltas: Edits, by the packed tokens of the place where they act.
        expand: For a block, which of the tokens so far are the tokens from that block on [T'];
            the number of blocks stands for what follows the last.
        readers: Readers of activations.
        additions: What adapters add to linear layers.
        length_T: Each token's row so far, for rotations that depend on it; all tokens are of rows
            of ``loaded.row_length`` if not given.
        recompute: Keep for a backward pass only what enters each block.
    """
    layout = loaded.layout
    # blocks on other devices get what they are given moved there by accelerate's hooks
    ids_T, position_T = ids_T.to(loaded.device), position_T.to(loaded.device)
    dummy: Any = torch.zeros((1, 1, 1, 1), dtype=loaded.dtype, device=loaded.device)
    mask = dict.fromkeys(layout.layer_types, dummy) if layout.mask_as_dict else dummy
    with ExitStack() as stack:
        stack.enter_context(attending(loaded, attention))
        stack.enter_context(rotating(loaded, length_T))
        if recompute:
            inner = Inner(attention, deltas, additions or {})
            stack.enter_context(recomputing(loaded, inner))
            deltas = {place: delta for place, delta in deltas.items() if place[1] == "residual"}
            additions = None
        stack.enter_context(_hooked(loaded, deltas, expand or {}, readers or {}, additions or {}))
        output = layout.text_model(
            input_ids=ids_T[None],
            attention_mask=mask,
            position_ids=position_T[None],
            use_cache=False,
        )
    hidden: torch.Tensor = output.last_hidden_state[0]
    return hidden


@contextmanager
def _hooked(
    loaded: LoadedModel,
    deltas: Deltas,
    expand: Mapping[int, torch.Tensor],
    readers: Mapping[Place, Reader],
    additions: Additions,
) -> Iterator[None]:
    """Hook what happens after blocks and layers, to arguments and before head mixers."""
    layout = loaded.layout
    handles: list[Any] = []
    try:
        places = {*deltas, *readers}
        touched = {layer - 1 for layer in expand}
        touched |= {layer for layer, site in places if site == "residual"}
        for layer in sorted(touched):
            place: Place = (layer, "residual")
            hook = _after(expand.get(layer + 1), deltas.get(place), readers.get(place))
            handles.append(layout.blocks[layer].register_forward_hook(hook))
        for place in places:
            if place[1] == "heads":
                mixer = layout.head_mixers[place[0]]
                hook = before(deltas.get(place), readers.get(place))
                handles.append(mixer.register_forward_pre_hook(hook))
        handles += _expand_arguments(layout.blocks, expand)
        handles += hook_additions(additions)
        yield
    finally:
        for handle in handles:
            handle.remove()


def _after(
    expand_T: torch.Tensor | None,
    delta: tuple[torch.Tensor | None, torch.Tensor] | None,
    reader: Reader | None,
) -> Any:
    def hook(_module: nn.Module, _args: Any, output: Any) -> Any:
        h_1TH = output[0] if isinstance(output, tuple) else output
        if expand_T is not None:
            h_1TH = h_1TH[:, expand_T]
        if delta is not None:
            h_1TH = add(h_1TH, *delta)
        if reader is not None:
            reader(h_1TH[0])
        return (h_1TH, *output[1:]) if isinstance(output, tuple) else h_1TH

    return hook


def _expand_arguments(blocks: list[nn.Module], expand: Mapping[int, torch.Tensor]) -> list[Any]:
    """Hook the blocks after an expansion: their per-token arguments (rotations) expand, too."""
    handles = []
    index: torch.Tensor | None = None
    for layer in range(min(expand, default=len(blocks)), len(blocks)):
        if layer in expand:
            step = expand[layer]
            index = step if index is None else index.to(step.device)[step]
        assert index is not None
        handles.append(blocks[layer].register_forward_pre_hook(_Expanding(index), with_kwargs=True))
    return handles


class _Expanding:
    """A hook that selects tokens from every per-token argument of a block but the first."""

    def __init__(self, index_T: torch.Tensor) -> None:
        self.index_T = index_T

    def __call__(self, _module: nn.Module, args: Any, kwargs: Any) -> Any:
        (hidden, *others) = args
        return (hidden, *map(self._select, others)), {k: self._select(v) for k, v in kwargs.items()}

    def _select(self, value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(map(self._select, value))
        if isinstance(value, torch.Tensor) and value.dim() >= 2 and value.shape[:1] == (1,):
            # the dummy mask is [1, 1, 1, 1] and is nobody's
            # arguments come here before they are moved to the block's device
            return value[:, self.index_T.to(value.device)] if value.shape[1] > 1 else value
        return value
