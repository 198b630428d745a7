"""Log-probabilities of single tokens with gradients: what adapters are trained by.

Rows of different adapters, with edits or without, are one packed pass, each computed whole. The
vocabulary never stands beside a whole row: logits are made for some tokens at a time, and what a
token's log-probability does to its hidden state is worked out at once, so that nothing of them is
kept for the backward pass. The head's weights are frozen.

Shapes: N labelled tokens, H hidden, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.autograd.function import once_differentiable

from trimtab.engine.batching.segments import Segment, common_prefix
from trimtab.engine.passes.head import Head
from trimtab.engine.passes.passes import Pass
from trimtab.engine.passes.primer import Primer
from trimtab.engine.reading.gradients import require_usual
from trimtab.engine.request import Edit, Options, Request
from trimtab.models.load import LoadedModel
from trimtab.models.lowrank import Adapter

MOST_LOGITS = 2**24
"""Logits at a time: 64 MB in float32."""


@dataclass(frozen=True, eq=False)
class Learned:
    """A row whose tokens are learned from.

    Attributes:
        tokens: Token ids, special tokens included.
        places: Which of them are to be predicted, ascending, none of them the first.
        adapter: The row's adapter; its factors may ask for gradients.
        edits: Plain edits of block outputs.
        num_prompt: Tokens that count as the prompt, for edits' positions; up to the first of
            ``places`` if not given.
    """

    tokens: tuple[int, ...]
    places: tuple[int, ...]
    adapter: Adapter | None = None
    edits: tuple[Edit, ...] = ()
    num_prompt: int | None = None


def token_logprobs(
    loaded: LoadedModel, head: Head, rows: Sequence[Learned], *, recompute: bool = False
) -> list[torch.Tensor]:
    """Return for each row the log-probabilities (nats) of the tokens at its places, float32.

    Args:
        loaded: The model.
        head: Its head.
        rows: Computed together: memory grows with their tokens.
        recompute: Keep only what enters each block, and compute the blocks again when gradients
            are asked for: a third more work, and far less memory.
    """
    hidden_NH, token_N = labelled_states(loaded, head, rows, recompute=recompute)
    logprob_N: torch.Tensor = _LogProbs.apply(  # type: ignore[no-untyped-call]
        hidden_NH, token_N, head, loaded.num_words
    )
    return list(logprob_N.split([len(row.places) for row in rows]))


def labelled_states(
    loaded: LoadedModel, head: Head, rows: Sequence[Learned], *, recompute: bool = False
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the final hidden states [N, H] that predict all rows' places, and the tokens [N].

    Both are on the head's device. For the arguments see ``token_logprobs``.
    """
    require_usual(loaded, max(len(row.tokens) for row in rows))
    primer = _common_start(loaded, rows)
    start = primer.length
    segments = [
        Segment(
            row.tokens[start : row.places[-1]],
            start,
            row.places[0] if row.num_prompt is None else row.num_prompt,
            row.edits,
            row.adapter,
        )
        for row in rows
    ]
    pasts = primer.pasts([row.adapter for row in rows])
    computed = Pass(loaded, segments, pasts).run(recompute=recompute)
    hidden_TH = computed.hidden_TH
    lines = [
        first + place - 1 - start
        for first, row in zip(computed.first_R, rows, strict=True)
        for place in row.places
    ]
    tokens = [row.tokens[place] for row in rows for place in row.places]
    hidden_NH = hidden_TH[torch.tensor(lines, device=hidden_TH.device)].to(head.device)
    return hidden_NH, torch.tensor(tokens, device=head.device)


def _common_start(loaded: LoadedModel, rows: Sequence[Learned]) -> Primer:
    """Return what the rows begin with, computed once, where it is the same for all.

    Nothing where gradients are asked for, which would have to flow into it, or where anything acts.
    """
    length = 0
    if not torch.is_grad_enabled() and not any(row.adapter or row.edits for row in rows):
        first = min(row.places[0] for row in rows)
        length = common_prefix([(row.tokens[: row.places[-1]], ()) for row in rows], first - 1)
    requests = [Request(None, row.tokens, Options(())) for row in rows]
    return Primer(loaded, requests, length=length)


class _LogProbs(torch.autograd.Function):
    """Log-probabilities [N] of tokens given hidden states, and their gradients, slice by slice."""

    @staticmethod
    def forward(
        context: Any, hidden_NH: torch.Tensor, token_N: torch.Tensor, head: Head, num_words: int
    ) -> torch.Tensor:
        size = max(1, MOST_LOGITS // num_words)
        found, slopes = [], []
        for at in range(0, len(hidden_NH), size):
            some_NH = hidden_NH[at : at + size].detach()
            token = token_N[at : at + size, None]
            if not context.needs_input_grad[0]:
                found.append(_logprobs(head.logits(some_NH), token))
                continue
            with torch.enable_grad():
                some_NH.requires_grad_()
                logprob_N = _logprobs(head.logits(some_NH), token)
                (slope_NH,) = torch.autograd.grad(logprob_N.sum(), some_NH)
            found.append(logprob_N.detach())
            slopes.append(slope_NH)
        if slopes:
            context.save_for_backward(torch.cat(slopes))
        return torch.cat(found)

    @staticmethod
    @once_differentiable
    def backward(context: Any, above_N: torch.Tensor) -> tuple[torch.Tensor, None, None, None]:
        (slope_NH,) = context.saved_tensors
        return (above_N[:, None] * slope_NH).to(slope_NH.dtype), None, None, None


def _logprobs(logits_NV: torch.Tensor, token_N1: torch.Tensor) -> torch.Tensor:
    return logits_NV.gather(1, token_N1)[:, 0] - logits_NV.logsumexp(dim=1)
