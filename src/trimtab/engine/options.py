"""Score answer options as continuations of their prompt.

The prompt is computed once; each option is a row that branches off it. Options that differ in their
last token only (single letters, yes and no) share a row. The vocabulary softmax is taken at option
positions only, a slice at a time.

Shapes: R rows, Q tokens, N option positions, V vocabulary, H hidden.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from trimtab.core.errors import ConfigError
from trimtab.engine.nonfinite import locate
from trimtab.engine.request import Edit, Options, OptionsResult, Request
from trimtab.engine.rows import PaddingSide, Row, RowBatch, logits
from trimtab.models.load import LoadedModel

_HEAD_SLICE = 512


@dataclass(frozen=True)
class _Branch:
    """A row: a prompt, all of one option's tokens but the last, and edits, which compare by id.

    Requests share the rows they have in common: an unedited reference serves every strength.
    """

    prompt: tuple[int, ...]
    tail: tuple[int, ...]
    edits: tuple[Edit, ...]


def num_branches(want: Options) -> int:
    """Return how many rows the options of one request take."""
    return len({option[:-1] for option in want.options}) + len(want.reference)


def score(
    loaded: LoadedModel, requests: Sequence[Request], padding_side: PaddingSide
) -> Iterator[OptionsResult]:
    """Yield the option scores of each request; raise NonFiniteError naming layer and position."""
    wants = [_want(r) for r in requests]
    index = _branches(requests, wants)
    branches = list(index)
    rows = [Row(branch.prompt, branch.edits) for branch in branches]
    width = 1 + max(len(b.tail) for b in branches)
    batch = RowBatch(loaded, rows, width, padding_side)
    ids_RQ = torch.zeros((len(rows), width), dtype=torch.long)
    valid_RQ = torch.zeros((len(rows), width), dtype=torch.bool)
    for i, branch in enumerate(branches):
        tokens = [rows[i].prompt[-1], *branch.tail]
        ids_RQ[i, : len(tokens)] = torch.tensor(tokens)
        valid_RQ[i, : len(tokens)] = True
    device = loaded.device
    hidden_RQH = batch.forward(ids_RQ.to(device), valid_RQ.to(device))
    for request, want in zip(requests, wants, strict=True):
        logprobs = []
        for option in want.options:
            row = index[_Branch(request.prompt, option[:-1], request.edits)]
            hidden_NH = hidden_RQH[row, : len(option)]
            logprobs.append(_logprob(loaded, hidden_NH, option))
        if not torch.isfinite(torch.tensor(logprobs)).all():
            bad = next(o for o, x in zip(want.options, logprobs, strict=True) if not _finite(x))
            tokens = [*request.prompt, *bad]
            raise locate(loaded, request.key, tokens, len(request.prompt), request.edits)
        kl: list[float | None] = [None] * len(want.options)
        for j in want.reference:
            option = want.options[j]
            plain_NH, edited_NH = (
                hidden_RQH[index[_Branch(request.prompt, option[:-1], edits)], : len(option)]
                for edits in ((), request.edits)
            )
            kl[j] = _divergence(loaded, plain_NH, edited_NH) if request.edits else 0.0
        yield OptionsResult(request.key, tuple(logprobs), tuple(kl))


def _want(request: Request) -> Options:
    assert isinstance(request.want, Options)
    if not request.want.options or not all(request.want.options):
        raise ConfigError(f"Request {request.key!r} has no options, or an empty one.")
    return request.want


def _branches(requests: Sequence[Request], wants: Sequence[Options]) -> dict[_Branch, int]:
    """Number the distinct rows that the requests need."""
    index: dict[_Branch, int] = {}
    for request, want in zip(requests, wants, strict=True):
        for option in want.options:
            index.setdefault(_Branch(request.prompt, option[:-1], request.edits), len(index))
        for j in want.reference:
            index.setdefault(_Branch(request.prompt, want.options[j][:-1], ()), len(index))
    return index


def _finite(value: float) -> bool:
    return value == value and abs(value) != float("inf")


def _logprob(loaded: LoadedModel, hidden_NH: torch.Tensor, option: tuple[int, ...]) -> float:
    """Return the sum log-probability of ``option``'s tokens."""
    total = 0.0
    for at in range(0, len(option), _HEAD_SLICE):
        tokens_N1 = torch.tensor(option[at : at + _HEAD_SLICE], device=hidden_NH.device)[:, None]
        logits_NV = logits(loaded, hidden_NH[at : at + _HEAD_SLICE])
        logprob_N = logits_NV.gather(1, tokens_N1)[:, 0] - logits_NV.logsumexp(dim=-1)
        total += float(logprob_N.double().sum())
    return total


def _divergence(loaded: LoadedModel, plain_NH: torch.Tensor, edited_NH: torch.Tensor) -> float:
    """Return the mean over positions of KL(unedited || edited), in nats."""
    total = 0.0
    for at in range(0, len(plain_NH), _HEAD_SLICE):
        p_NV = logits(loaded, plain_NH[at : at + _HEAD_SLICE]).log_softmax(dim=-1)
        q_NV = logits(loaded, edited_NH[at : at + _HEAD_SLICE]).log_softmax(dim=-1)
        total += float((p_NV.exp() * (p_NV - q_NV)).sum(dim=-1).double().sum())
    return total / len(plain_NH)
