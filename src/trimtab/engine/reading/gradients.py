"""Log-probabilities of answers with gradients, from the edited block upwards only.

The same packed passes as scoring. Nothing below the lowest edited block depends on an edit, nor
does what prompts leave in the cache if edits begin at their last token (``generated``,
``last_prompt``, ``after_prompt``): both are computed without gradients. The model's weights are
frozen, so gradients end in the edits' vectors and in the factors of adapters. Where those are
trained, every prompt is computed whole, with gradients.

Shapes: N answer tokens, V vocabulary, K answers of a row.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from trimtab.core.errors import ModelError
from trimtab.engine.batching.segments import Segment, span
from trimtab.engine.passes.cache import PrefixCache
from trimtab.engine.passes.head import Head
from trimtab.engine.passes.passes import Pass, Past, Store
from trimtab.engine.passes.primer import Primer
from trimtab.engine.request import Edit, Options, Request
from trimtab.models.load import LoadedModel
from trimtab.models.lowrank import Adapter


@dataclass(frozen=True, eq=False)
class Answered:
    """A prompt with answers to score.

    Attributes:
        prompt: Token ids, special tokens included.
        answers: Token ids of each answer, none of them empty.
        edits: Plain edits of block outputs; their vectors may ask for gradients.
        adapter: The row's adapter; its factors may ask for gradients.
    """

    prompt: tuple[int, ...]
    answers: tuple[tuple[int, ...], ...]
    edits: tuple[Edit, ...] = ()
    adapter: Adapter | None = None


def common_start(loaded: LoadedModel, rows: Sequence[Answered]) -> Primer:
    """Return what the prompts of ``rows`` have in common, computed once, without gradients.

    It is empty if an adapter is trained, on which all tokens depend.
    """
    for row in rows:
        require_usual(loaded, len(row.prompt) + max(map(len, row.answers)))
    if _trains(rows):
        rows = rows[:1]  # a single prompt has nothing in common with others
    with torch.no_grad():
        requests = [Request(None, r.prompt, Options(r.answers), r.edits, r.adapter) for r in rows]
        return Primer(loaded, requests)


def answer_logprobs(
    loaded: LoadedModel, head: Head, rows: Sequence[Answered], primer: Primer
) -> list[torch.Tensor]:
    """Return per row the sum log-probability (nats) of each answer [K], float32 or better.

    Args:
        loaded: The model.
        head: Its head.
        rows: Computed together: memory grows with their tokens.
        primer: What ``common_start`` found for these rows, or for more rows with edits at the same
            positions.
    """
    owners = [i for i, row in enumerate(rows) for _ in row.answers]
    answers = [answer for row in rows for answer in row.answers]
    computing, offsets = _pass(loaded, rows, owners, answers, primer)
    layers = [edit.layer for row in rows for edit in row.edits]
    with nullcontext() if _trains(rows) else _frozen_below(loaded, min(layers, default=0)):
        computed = computing.run()
    places: list[int] = []
    for first, offset, answer in zip(computed.first_R, offsets, answers, strict=True):
        places += range(first + offset, first + offset + len(answer))
    device = computed.hidden_TH.device
    logits_NV = head.logits(computed.hidden_TH[torch.tensor(places, device=device)])
    token_N = torch.tensor([t for answer in answers for t in answer], device=logits_NV.device)
    chosen_N = logits_NV.gather(1, token_N[:, None])[:, 0] - logits_NV.logsumexp(dim=1)
    sums = torch.stack([part.sum() for part in chosen_N.split([len(a) for a in answers])])
    return list(sums.split([len(row.answers) for row in rows]))


def _pass(
    loaded: LoadedModel,
    rows: Sequence[Answered],
    owners: Sequence[int],
    answers: Sequence[tuple[int, ...]],
    primer: Primer,
) -> tuple[Pass, list[int]]:
    """Return the pass over all answers, and which of each one's tokens chooses its first."""
    assert not (primer.length and _trains(rows)), "a shared start has no gradients"
    start, pasts = primer.length, primer.pasts([rows[i].adapter for i in owners])
    pairs = [(rows[i], answer) for i, answer in zip(owners, answers, strict=True)]
    early = any(span(e, len(r.prompt))[0] < len(r.prompt) - 1 for r in rows for e in r.edits)
    if early or _trains(rows):
        whole = [
            Segment((*r.prompt[start:], *answer[:-1]), start, len(r.prompt), r.edits, r.adapter)
            for r, answer in pairs
        ]
        return Pass(loaded, whole, pasts), [len(r.prompt) - 1 - start for r, _ in pairs]
    cache = PrefixCache(loaded.layout.num_layers, len(rows), loaded.layout.devices)
    prompts = [Segment(r.prompt[start:-1], start, len(r.prompt), adapter=r.adapter) for r in rows]
    with torch.no_grad():
        store = Store(cache, range(len(rows)))
        Pass(loaded, prompts, primer.pasts([r.adapter for r in rows]), store).run()
    tails = [
        Segment((r.prompt[-1], *answer[:-1]), len(r.prompt) - 1, len(r.prompt), r.edits, r.adapter)
        for r, answer in pairs
    ]
    return Pass(loaded, tails, (*pasts, Past(cache, owners))), [0] * len(pairs)


def last_hidden(
    loaded: LoadedModel, rows: Sequence[tuple[int, ...]], adapter: Adapter | None = None
) -> torch.Tensor:
    """Return the final hidden states [rows, H] of rows' last tokens, computed whole.

    Gradients flow into the adapter's factors if they are asked for.
    """
    require_usual(loaded, max(map(len, rows)))
    segments = [Segment(row, 0, len(row), (), adapter) for row in rows]
    computed = Pass(loaded, segments).run()
    last = [first + len(row) - 1 for first, row in zip(computed.first_R, rows, strict=True)]
    return computed.hidden_TH[torch.tensor(last, device=computed.hidden_TH.device)]


def require_usual(loaded: LoadedModel, length: int) -> None:
    """Raise ModelError for a row whose rotary frequencies would depend on its length."""
    rotation = loaded.layout.rotation
    if rotation is not None and length > rotation.usual:
        raise ModelError(
            f"A row to learn from has {length} tokens, and the rotary frequencies of "
            f"{loaded.resolved.spec.id!r} depend on a row's length beyond {rotation.usual}.",
            hint="Learn from shorter rows, or with a model without such scaling.",
        )


def _trains(rows: Sequence[Answered]) -> bool:
    """Whether gradients with respect to an adapter are asked for."""
    if not torch.is_grad_enabled():
        return False
    return any(row.adapter is not None and row.adapter.requires_grad for row in rows)


@contextmanager
def _frozen_below(loaded: LoadedModel, layer: int) -> Iterator[None]:
    """Compute blocks 0 to ``layer`` without gradients: they are turned on before its edit acts."""
    if not torch.is_grad_enabled():
        yield
        return

    def off(_module: nn.Module, _args: Any) -> None:
        torch.set_grad_enabled(False)

    def on(_module: nn.Module, _args: Any, _output: Any) -> None:
        torch.set_grad_enabled(True)

    # hooks run in the order of their registration, and edits are registered after these
    blocks = loaded.layout.blocks
    handles = [blocks[0].register_forward_pre_hook(off), blocks[layer].register_forward_hook(on)]
    try:
        with torch.enable_grad():
            yield
    finally:
        for handle in handles:
            handle.remove()
