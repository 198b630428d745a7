"""Attention of packed tokens over shared keys: each part once per group, one softmax over all.

A forward holds the tokens of many rows one after the other, without padding. What a token sees is
made of parts (a common primer, its prompt, its own tokens); a part's keys and values are read once
for all tokens that share them. There is one softmax over the union of the parts' keys: each part
gives its sums relative to its own largest score, and they are put on one scale at the end.

The function is registered with transformers under ``NAME``; a model uses it within the engine's
forwards only, and its own attention everywhere else.

Shapes: T packed tokens, G groups of at most M tokens each, S keys of a group, K key/value heads,
R query heads per key/value head, D head dimension.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn
from transformers import AttentionInterface

from trimtab.core.errors import ModelError
from trimtab.engine.passes.products import matmul
from trimtab.models.load import LoadedModel

NAME = "trimtab"

KeyValue = tuple[torch.Tensor, torch.Tensor]
"""Keys and values, each [G, K, S, D]."""

Seen = list[tuple["Part", Sequence[KeyValue]]]
"""What tokens attend to: the keys of a part may lie in several pages, one after the other."""

Parts = Callable[[int, torch.Tensor, torch.Tensor], Seen]
"""Given a block and its new keys and values [T, K, D], what its tokens see."""

Sums = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
"""Weighted sum of values [..., D], sum of weights [..., 1], and the score of weight 1 [..., 1]."""

_MOST_SCORES = 2**19
"""Scores computed at a time; bounds memory and keeps them in the processor's cache."""

_MOST_SCORES_ON_ACCELERATOR = 2**26
"""There the bound is for memory alone, and many small products cost more than a few large ones."""

LOG2_E = math.log2(math.e)
"""Scores are in units of log 2: ``exp2`` is faster than ``exp``, most where it is tiny."""

HIDDEN = -1e30
"""What a mask adds to a score that must not count; finite, so that a part may be hidden whole."""

_HARMLESS = ("dropout", "sliding_window", "position_ids", "is_causal", "use_cache")
"""Arguments of attention functions that positions and parts make superfluous."""

Attention = Callable[
    [int, torch.Tensor, torch.Tensor, torch.Tensor, float, float | None], torch.Tensor
]
"""Given a block, its queries [T, K, R, D], its new keys and values [T, K, D], the scale of the
scores and their soft cap: the output [T, K, R, D]."""

_ACTIVE: ContextVar[tuple[Attention, set[int]] | None] = ContextVar(
    "trimtab_attention", default=None
)
"""What attends in this forward, and the blocks that have."""


@dataclass(frozen=True, eq=False)
class Part:
    """Who attends to a set of keys.

    Attributes:
        token_GM: Tokens of each group, filled up with any token; None if the packed tokens are
            the groups in order already.
        place_T: Where each token stands in that rectangle, flattened; None likewise.
        shape: (G, M).
        mask: Added to scores, [G or 1, 1, M or 1, S]; None if all see all.
        lead: The keys are those of so many tokens before the group and of its own tokens: token m
            sees keys 0 to lead + m. None: any other keys.
    """

    token_GM: torch.Tensor | None
    place_T: torch.Tensor | None
    shape: tuple[int, int]
    mask: torch.Tensor | None = None
    lead: int | None = None

    def gather(self, x_TKD: torch.Tensor) -> torch.Tensor:
        """Return the rectangle [G, M, ...] of per-token values [T, ...]."""
        if self.token_GM is not None:
            x_TKD = x_TKD[self.token_GM.flatten()]
        rectangle: torch.Tensor = x_TKD.unflatten(0, self.shape)
        return rectangle


def check_family(loaded: LoadedModel) -> None:
    """Raise ModelError if the model can't attend through this module."""
    model = loaded.model
    if model.config.model_type != "gpt_neo" and not model._supports_attention_backend:
        raise ModelError(
            f"{type(model).__name__} computes its attention in a way of its own, which the engine "
            "can't share between rows.",
            hint="Use a family that supports transformers' attention interface.",
        )


@contextmanager
def attending(loaded: LoadedModel, attention: Attention) -> Iterator[None]:
    """Let the model's forwards within attend by ``attention``."""
    token = _ACTIVE.set((attention, set()))
    config = loaded.model.config.get_text_config()
    usual = config._attn_implementation
    config._attn_implementation = NAME
    try:
        with _gpt_neo(loaded):
            yield
    finally:
        config._attn_implementation = usual
        _ACTIVE.reset(token)


@contextmanager
def _gpt_neo(loaded: LoadedModel) -> Iterator[None]:
    """Stand in for the attention of GPT-Neo, which knows no attention interface."""
    if loaded.model.config.model_type != "gpt_neo":
        yield
        return
    modules: list[Any] = [b.get_submodule("attn.attention") for b in loaded.layout.blocks]
    for module in modules:
        module.layer_idx = module.layer_id
        module._attn = partial(_attend_gpt_neo, module)
    try:
        yield
    finally:
        for module in modules:
            del module._attn


def attend(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    _mask: torch.Tensor | None = None,
    scaling: float | None = None,
    softcap: float | None = None,
    **others: Any,
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Attend as transformers asks for: query [1, K * R, T, D] to output [1, T, K * R, D]."""
    _refuse(others)
    active = _ACTIVE.get()
    assert active is not None
    attention, called = active
    layer: int = module.layer_idx  # type: ignore[assignment]
    if layer in called:
        raise ModelError(
            f"{type(module).__name__} attends more than once in block {layer}, and the engine "
            "keeps one set of keys and values per block.",
            hint="Use a family with one attention per block.",
        )
    called.add(layer)
    q_TKRD = query[0].transpose(0, 1).unflatten(1, (key.shape[1], -1))
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    key_TKD, value_TKD = key[0].transpose(0, 1), value[0].transpose(0, 1)
    out_TKRD = attention(layer, q_TKRD, key_TKD, value_TKD, scale, softcap)
    return out_TKRD.to(query.dtype).flatten(1, 2)[None], None


def by_parts(parts: Parts) -> Attention:
    """Return the attention that reads each of the ``parts`` once per group."""

    def attention(
        layer: int,
        q_TKRD: torch.Tensor,
        key_TKD: torch.Tensor,
        value_TKD: torch.Tensor,
        scale: float,
        softcap: float | None,
    ) -> torch.Tensor:
        q_TKRD = q_TKRD * (scale * LOG2_E)
        seen = parts(layer, key_TKD, value_TKD)
        return _merge([_sums(part, q_TKRD, pages, softcap) for part, pages in seen])

    return attention


def _refuse(arguments: dict[str, Any]) -> None:
    """Raise ModelError for an argument that would change the scores and is not known here."""
    unknown = [k for k, v in arguments.items() if k not in _HARMLESS and v is not None]
    if unknown:
        raise ModelError(
            f"The model's attention wants {', '.join(unknown)}, which is not done here."
        )


def _attend_gpt_neo(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    *_mask: Any,
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Attend as GPT-Neo does: not scaled, the output [1, heads, T, D]."""
    out, _ = attend(module, query, key, value, None, scaling=1.0)
    return out.transpose(1, 2), None


def _sums(
    part: Part, q_TKRD: torch.Tensor, pages: Sequence[KeyValue], softcap: float | None
) -> Sums:
    """Return a part's sums for every token, in slices of tokens if there are many scores."""
    q_GKMRD = part.gather(q_TKRD).transpose(1, 2)
    num_tokens, num_keys = part.shape[1], sum(key.shape[2] for key, _ in pages)
    per_token = q_GKMRD[:, :, 0].numel() // q_GKMRD.shape[-1] * num_keys
    most = _MOST_SCORES if q_TKRD.device.type == "cpu" else _MOST_SCORES_ON_ACCELERATOR
    step = max(1, most // max(1, per_token))
    slices = [
        _slice_sums(part, q_GKMRD, pages, softcap, at, min(at + step, num_tokens))
        for at in range(0, num_tokens, step)
    ]
    if len(slices) == 1:
        out, total, top = (_ungroup(part, x) for x in slices[0])
    else:
        columns = zip(*slices, strict=True)
        out, total, top = (_ungroup(part, torch.cat(x, dim=2)) for x in columns)
    return out, total, top


def _slice_sums(
    part: Part,
    q_GKMRD: torch.Tensor,
    pages: Sequence[KeyValue],
    softcap: float | None,
    start: int,
    stop: int,
) -> Sums:
    """Return sums, each [G, K, m, R, D or 1], of tokens ``start`` to ``stop`` of every group."""
    q = q_GKMRD[:, :, start:stop]
    mask = part.mask
    if mask is not None and mask.shape[2] > 1:
        mask = mask[:, :, start:stop]
    if part.lead is not None:
        end = part.lead + stop
        pages = [(key[:, :, :end], value[:, :, :end]) for key, value in pages]
        mask = None if mask is None else mask[..., :end]
    scores = _scores(q, [key for key, _ in pages], softcap, mask)
    # the result does not depend on which score has weight 1, so neither does a gradient
    top = scores.detach().amax(dim=-1, keepdim=True)
    p = scores.sub_(top).exp2_()
    total = p.sum(dim=-1, keepdim=True)
    p = p.to(q.dtype).flatten(2, 3)
    weights = p.split([value.shape[2] for _, value in pages], dim=-1)
    out = matmul(weights[0], pages[0][1])
    for weight, (_, value) in zip(weights[1:], pages[1:], strict=True):
        out = out + matmul(weight, value)
    return out.unflatten(2, q.shape[2:4]), total, top


def _scores(
    q_GKMRD: torch.Tensor,
    keys_GKSD: Sequence[torch.Tensor],
    softcap: float | None,
    mask: torch.Tensor | None,
) -> torch.Tensor:
    """Return scores [G, K, M, R, S] in float32 or better, capped and masked."""
    q = q_GKMRD.flatten(2, 3)
    found = [matmul(q, key_GKSD.transpose(2, 3)) for key_GKSD in keys_GKSD]
    product = found[0] if len(found) == 1 else torch.cat(found, dim=-1)
    scores = product.to(torch.promote_types(product.dtype, torch.float32))
    scores = scores.unflatten(2, q_GKMRD.shape[2:4])
    if softcap is not None:
        cap = softcap * LOG2_E
        scores = cap * torch.tanh(scores / cap)
    if mask is not None:
        scores = scores.add_(mask[:, :, :, None])
    return scores


def _ungroup(part: Part, x_GKMRD: torch.Tensor) -> torch.Tensor:
    """Return values [T, K, R, D] of the tokens in their packed order."""
    x = x_GKMRD.transpose(1, 2).flatten(0, 1)
    return x if part.place_T is None else x[part.place_T]


def _merge(parts: list[Sums]) -> torch.Tensor:
    """Return the softmax over the union of the parts' keys, in float32 or better."""
    out, total, top = parts[0]
    for part_out, part_total, part_top in parts[1:]:
        highest = top.maximum(part_top)
        share, part_share = (top - highest).exp2(), (part_top - highest).exp2()
        out = out * share + part_out * part_share
        total = total * share + part_total * part_share
        top = highest
    return out / total


AttentionInterface.register(NAME, attend)
