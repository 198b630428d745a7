"""Attention of packed tokens over shared keys: each part once per group, one softmax over all.

A forward holds the tokens of many rows one after the other, without padding. What a token sees is
made of parts (a common primer, its prompt, its own tokens); a part's keys and values are read once
for all tokens that share them. There is one softmax over the union of the parts' keys: taken at
once where scores are few, as when texts are written; else part by part and merged by log-sum-exp.

The function is registered with transformers under ``NAME``; a model uses it within the engine's
forwards only, and its own attention everywhere else.

Shapes: T packed tokens, G groups of at most M tokens each, S keys of a group, K key/value heads,
R query heads per key/value head, D head dimension.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn
from transformers import AttentionInterface

from trimtab.core.errors import ModelError
from trimtab.models.load import LoadedModel

NAME = "trimtab"

KeyValue = tuple[torch.Tensor, torch.Tensor]
"""Keys [G, K, D, S] (transposed: products with them are faster so) and values [G, K, S, D]."""

Parts = Callable[[int, torch.Tensor, torch.Tensor], list[tuple["Part", KeyValue]]]
"""Given a block and its new keys and values [T, K, D], what its tokens see."""

_MOST_SCORES = 2**19
"""Scores computed at a time; bounds memory and keeps them in the processor's cache."""

LOG2_E = math.log2(math.e)
"""Scores merged by log-sum-exp are in units of log 2: ``exp2`` is faster, most where it is tiny."""

HIDDEN = -1e30
"""What a mask adds to a score that must not count; finite, so that a part may be hidden whole."""

_HARMLESS = ("dropout", "sliding_window", "position_ids", "is_causal", "use_cache")
"""Arguments of attention functions that positions and parts make superfluous."""

_ACTIVE: ContextVar[Parts | None] = ContextVar("trimtab_attention", default=None)


@dataclass(frozen=True, eq=False)
class Part:
    """Who attends to a set of keys.

    Attributes:
        token_GM: Tokens of each group, filled up with any token; None if the packed tokens are
            the groups in order already.
        place_T: Where each token stands in that rectangle, flattened; None likewise.
        shape: (G, M).
        mask: Added to scores, [G or 1, 1, M or 1, S]; None if all see all.
        causal: The keys are the group's own tokens: token m sees keys 0 to m.
    """

    token_GM: torch.Tensor | None
    place_T: torch.Tensor | None
    shape: tuple[int, int]
    mask: torch.Tensor | None = None
    causal: bool = False

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
def attending(loaded: LoadedModel, parts: Parts) -> Iterator[None]:
    """Let the model's forwards within attend to ``parts``."""
    token = _ACTIVE.set(parts)
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
    parts_of = _ACTIVE.get()
    assert parts_of is not None
    layer: int = module.layer_idx  # type: ignore[assignment]
    q_TKRD = query[0].transpose(0, 1).unflatten(1, (key.shape[1], -1))
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    seen = parts_of(layer, key[0].transpose(0, 1), value[0].transpose(0, 1))
    if len(seen) > 1 and sum(_num_scores(*one, q_TKRD) for one in seen) <= _MOST_SCORES:
        out_TKRD = _jointly(seen, q_TKRD * scale, softcap)
    else:
        q_TKRD = q_TKRD * (scale * LOG2_E)
        partials = [_partial(part, q_TKRD, *pair, softcap) for part, pair in seen]
        out_TKRD = partials[0][0] if len(partials) == 1 else _merge(partials)
    return out_TKRD.to(query.dtype).flatten(1, 2)[None], None


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


def _num_scores(part: Part, pair: KeyValue, q_TKRD: torch.Tensor) -> int:
    """Return how many scores a part takes, filled up."""
    return part.shape[0] * part.shape[1] * q_TKRD[0, ..., 0].numel() * pair[0].shape[-1]


def _jointly(
    seen: list[tuple[Part, KeyValue]], q_TKRD: torch.Tensor, softcap: float | None
) -> torch.Tensor:
    """Return the output [T, K, R, D] by one softmax over all scores at once."""
    scores = []
    for part, (key_GKDS, _) in seen:
        q_GKMRD = part.gather(q_TKRD).transpose(1, 2)
        found = _scores(q_GKMRD, key_GKDS, softcap, part.mask)
        scores.append(_ungroup(part, found))
    p_TKRS = torch.cat(scores, dim=-1).softmax(dim=-1)
    out: torch.Tensor | None = None
    split = p_TKRS.split([x.shape[-1] for x in scores], dim=-1)
    for (part, (_, value_GKSD)), p_TKRs in zip(seen, split, strict=True):
        p_GKMRS = part.gather(p_TKRs).transpose(1, 2)
        one = torch.matmul(p_GKMRS.flatten(2, 3), value_GKSD).unflatten(2, p_GKMRS.shape[2:4])
        one = _ungroup(part, one)
        out = one if out is None else out + one
    assert out is not None
    return out


def _scores(
    q_GKMRD: torch.Tensor,
    key_GKDS: torch.Tensor,
    softcap: float | None,
    mask: torch.Tensor | None,
) -> torch.Tensor:
    """Return scores [G, K, M, R, S], capped and masked."""
    product = torch.matmul(q_GKMRD.flatten(2, 3), key_GKDS)
    scores: torch.Tensor = product.unflatten(2, q_GKMRD.shape[2:4])
    if softcap is not None:
        scores = softcap * torch.tanh(scores / softcap)
    if mask is not None:
        scores.add_(mask[:, :, :, None])
    return scores


def _partial(
    part: Part,
    q_TKRD: torch.Tensor,
    key_GKDS: torch.Tensor,
    value_GKSD: torch.Tensor,
    softcap: float | None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the part's output [T, K, R, D] and log-sum-exp [T, K, R, 1]."""
    q_GKMRD = part.gather(q_TKRD).transpose(1, 2)
    num_tokens, num_keys = part.shape[1], key_GKDS.shape[-1]
    per_token = q_GKMRD[:, :, 0].numel() // q_GKMRD.shape[-1] * num_keys
    step = max(1, _MOST_SCORES // max(1, per_token))
    slices = [
        _attend_slice(part, q_GKMRD, key_GKDS, value_GKSD, softcap, at, min(at + step, num_tokens))
        for at in range(0, num_tokens, step)
    ]
    outs, sums = zip(*slices, strict=True)
    out_GKMRD = outs[0] if len(outs) == 1 else torch.cat(outs, dim=2)
    sum_GKMR1 = sums[0] if len(sums) == 1 else torch.cat(sums, dim=2)
    return _ungroup(part, out_GKMRD), _ungroup(part, sum_GKMR1)


def _attend_slice(
    part: Part,
    q_GKMRD: torch.Tensor,
    key_GKDS: torch.Tensor,
    value_GKSD: torch.Tensor,
    softcap: float | None,
    start: int,
    stop: int,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Attend with tokens ``start`` to ``stop`` of every group; scores are in units of log 2."""
    q = q_GKMRD[:, :, start:stop]
    mask = part.mask
    if mask is not None and mask.shape[2] > 1:
        mask = mask[:, :, start:stop]
    if part.causal:
        key_GKDS, value_GKSD = key_GKDS[..., :stop], value_GKSD[:, :, :stop]
        mask = None if mask is None else mask[..., :stop]
    scores = _scores(q, key_GKDS, None if softcap is None else softcap * LOG2_E, mask)
    scores = scores.to(torch.promote_types(scores.dtype, torch.float32))
    top = scores.amax(dim=-1, keepdim=True)
    # the maximum's gradient needs the scores as they were
    p = ((scores - top) if scores.requires_grad else scores.sub_(top)).exp2_()
    sum_GKMR1 = p.sum(dim=-1, keepdim=True)
    p = p.to(value_GKSD.dtype).flatten(2, 3)
    out = torch.matmul(p, value_GKSD).unflatten(2, q.shape[2:4]) / sum_GKMR1
    return out, top + sum_GKMR1.log2()


def _ungroup(part: Part, x_GKMRD: torch.Tensor) -> torch.Tensor:
    """Return values [T, K, R, D] of the tokens in their packed order."""
    x = x_GKMRD.transpose(1, 2).flatten(0, 1)
    return x if part.place_T is None else x[part.place_T]


def _merge(parts: list[tuple[torch.Tensor, torch.Tensor]]) -> torch.Tensor:
    """Return the softmax over the union of the parts' keys, in float32."""
    total = parts[0][1]
    for _, sum_TKR1 in parts[1:]:
        total = torch.logaddexp2(total, sum_TKR1)
    out = parts[0][0] * (parts[0][1] - total).exp2()
    for part_TKRD, sum_TKR1 in parts[1:]:
        out = out + part_TKRD * (sum_TKR1 - total).exp2()
    return out


AttentionInterface.register(NAME, attend)
