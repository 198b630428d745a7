"""What an adapter does to the distributions that tokens were drawn from, with gradients.

Beside the log-probability of each token: the entropy of the distribution that it was drawn from,
and its divergence from the base's at the same place, both exactly, over the whole vocabulary. As in
``likelihood``, logits are made for some tokens at a time and nothing of them is kept.

Shapes: N tokens, H hidden, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch.autograd.function import once_differentiable

from trimtab.engine.passes.head import Head
from trimtab.engine.reading.likelihood import MOST_LOGITS, Learned, labelled_states
from trimtab.models.load import LoadedModel


@dataclass(frozen=True, eq=False)
class Drawn:
    """The tokens at a row's places, in nats, float32 or better.

    Attributes:
        logprob_N: Log-probability of each; gradients flow.
        entropy_N: Of the distribution that it was drawn from.
        divergence_N: KL(adapted || base) of the two distributions; gradients flow if asked for.
    """

    logprob_N: torch.Tensor
    entropy_N: torch.Tensor
    divergence_N: torch.Tensor


def drawn_tokens(
    loaded: LoadedModel,
    head: Head,
    rows: Sequence[Learned],
    *,
    penalised: bool = False,
    recompute: bool = False,
) -> list[Drawn]:
    """Return for each row what its adapter makes of the tokens at its places.

    Args:
        loaded: The model.
        head: Its head.
        rows: Computed together, and once more without adapters: memory grows with their tokens.
        penalised: Gradients of the divergence are asked for.
        recompute: See ``likelihood.token_logprobs``.
    """
    with torch.no_grad():
        base = [replace(row, adapter=None) for row in rows]
        base_NH, _ = labelled_states(loaded, head, base)
    hidden_NH, token_N = labelled_states(loaded, head, rows, recompute=recompute)
    found: tuple[torch.Tensor, ...] = _Drawn.apply(  # type: ignore[no-untyped-call]
        hidden_NH, base_NH, token_N, head, loaded.num_words, penalised
    )
    lengths = [len(row.places) for row in rows]
    return [Drawn(*parts) for parts in zip(*(x.split(lengths) for x in found), strict=True)]


class _Drawn(torch.autograd.Function):
    """Log-probability, entropy and divergence [N] given hidden states, slice by slice."""

    @staticmethod
    def forward(
        context: Any,
        hidden_NH: torch.Tensor,
        base_NH: torch.Tensor,
        token_N: torch.Tensor,
        head: Head,
        num_words: int,
        penalised: bool,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        size = max(1, MOST_LOGITS // num_words)
        found: list[tuple[torch.Tensor, ...]] = []
        slopes: list[tuple[torch.Tensor, ...]] = []
        for at in range(0, len(hidden_NH), size):
            here = slice(at, at + size)
            base_NV = head.logits(base_NH[here]).log_softmax(dim=1)
            some_NH = hidden_NH[here].detach()
            if not context.needs_input_grad[0]:
                found.append(_measures(head.logits(some_NH), base_NV, token_N[here]))
                continue
            with torch.enable_grad():
                some_NH.requires_grad_()
                measures = _measures(head.logits(some_NH), base_NV, token_N[here])
                wanted = [measures[0], measures[2]] if penalised else [measures[0]]
                slopes.append(
                    tuple(
                        torch.autograd.grad(value.sum(), some_NH, retain_graph=True)[0]
                        for value in wanted
                    )
                )
            found.append(tuple(value.detach() for value in measures))
        context.save_for_backward(*map(torch.cat, zip(*slopes, strict=True)))
        logprob_N, entropy_N, divergence_N = map(torch.cat, zip(*found, strict=True))
        context.mark_non_differentiable(entropy_N)
        if not penalised:
            context.mark_non_differentiable(divergence_N)
        return logprob_N, entropy_N, divergence_N

    @staticmethod
    @once_differentiable
    def backward(context: Any, *above: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        slopes = context.saved_tensors
        asked = (above[0], above[2])[: len(slopes)]
        total_NH = sum(
            above_N[:, None] * slope_NH for above_N, slope_NH in zip(asked, slopes, strict=True)
        )
        assert isinstance(total_NH, torch.Tensor)
        return total_NH.to(slopes[0].dtype), None, None, None, None, None


def _measures(
    logits_NV: torch.Tensor, base_NV: torch.Tensor, token_N: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    logprob_NV = logits_NV - logits_NV.logsumexp(dim=1, keepdim=True)
    p_NV = logprob_NV.exp()
    return (
        logprob_NV.gather(1, token_N[:, None])[:, 0],
        -(p_NV * logprob_NV).sum(dim=1),
        (p_NV * (logprob_NV - base_NV)).sum(dim=1),
    )
