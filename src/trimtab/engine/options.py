"""Score answer options as continuations of their prompt.

The prompt is computed once; each option is a row that branches off it. Options that differ in their
last token only (single letters, yes and no) share a row. The vocabulary softmax is taken at option
positions only, a slice at a time.

Shapes: R rows, Q tokens, N option positions, V vocabulary, H hidden.
"""

from __future__ import annotations

import itertools
import math
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
    needed = _Positions(hidden_RQH, [len(b.tail) + 1 for b in branches])
    logprobs = _logprobs(loaded, needed, index, requests, wants)
    for i, (request, want) in enumerate(zip(requests, wants, strict=True)):
        for option, logprob in zip(want.options, logprobs[i], strict=True):
            if not math.isfinite(logprob):
                tokens = [*request.prompt, *option]
                raise locate(loaded, request.key, tokens, len(request.prompt), request.edits)
        yield OptionsResult(request.key, logprobs[i], _kl(loaded, needed, index, request, want))


def _reference(request: Request, want: Options, j: int) -> _Branch:
    """Return the row that option ``j`` is compared with: no edits, and the reference prompt."""
    return _Branch(want.reference_prompt or request.prompt, want.options[j][:-1], ())


class _Positions:
    """The hidden states of all rows' tokens, without padding, one after the other."""

    def __init__(self, hidden_RQH: torch.Tensor, lengths: Sequence[int]) -> None:
        self.first = [0, *itertools.accumulate(lengths)]
        lengths_R1 = torch.tensor(lengths, device=hidden_RQH.device)[:, None]
        steps_Q = torch.arange(hidden_RQH.shape[1], device=hidden_RQH.device)
        self.hidden_NH = hidden_RQH[steps_Q < lengths_R1]

    def of(self, row: int) -> torch.Tensor:
        """Return the hidden states [tokens, H] of one row."""
        return self.hidden_NH[self.first[row] : self.first[row + 1]]


def _logprobs(
    loaded: LoadedModel,
    needed: _Positions,
    index: dict[_Branch, int],
    requests: Sequence[Request],
    wants: Sequence[Options],
) -> list[tuple[float, ...]]:
    """Return each option's sum log-probability; the head runs on full slices of positions."""
    places: list[int] = []
    tokens: list[int] = []
    for request, want in zip(requests, wants, strict=True):
        for option in want.options:
            first = needed.first[index[_Branch(request.prompt, option[:-1], request.edits)]]
            places += range(first, first + len(option))
            tokens += option
    device = needed.hidden_NH.device
    place_T, token_T = (torch.tensor(x, device=device) for x in (places, tokens))
    logprob_T = torch.empty(len(places), dtype=torch.float64, device=device)
    for at in range(0, len(needed.hidden_NH), _HEAD_SLICE):
        logits_NV = logits(loaded, needed.hidden_NH[at : at + _HEAD_SLICE])
        total_N = logits_NV.logsumexp(dim=-1)
        here_T = (place_T >= at) & (place_T < at + _HEAD_SLICE)
        row_T = place_T[here_T] - at
        logprob_T[here_T] = (logits_NV[row_T, token_T[here_T]] - total_N[row_T]).double()
    values = iter(logprob_T.tolist())
    return [
        tuple(sum(itertools.islice(values, len(option))) for option in want.options)
        for want in wants
    ]


def _kl(
    loaded: LoadedModel,
    needed: _Positions,
    index: dict[_Branch, int],
    request: Request,
    want: Options,
) -> tuple[float | None, ...]:
    """Return the mean divergence of the reference options, None for the others."""
    values: list[float | None] = [None] * len(want.options)
    for j in want.reference:
        row = index[_Branch(request.prompt, want.options[j][:-1], request.edits)]
        reference = index[_reference(request, want, j)]
        same = row == reference
        values[j] = 0.0 if same else _divergence(loaded, needed.of(reference), needed.of(row))
    return tuple(values)


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
            index.setdefault(_reference(request, want, j), len(index))
    return index


def _divergence(loaded: LoadedModel, plain_NH: torch.Tensor, edited_NH: torch.Tensor) -> float:
    """Return the mean over positions of KL(reference || row), in nats."""
    total = 0.0
    for at in range(0, len(plain_NH), _HEAD_SLICE):
        p_NV = logits(loaded, plain_NH[at : at + _HEAD_SLICE]).log_softmax(dim=-1)
        q_NV = logits(loaded, edited_NH[at : at + _HEAD_SLICE]).log_softmax(dim=-1)
        total += float((p_NV.exp() * (p_NV - q_NV)).sum(dim=-1).double().sum())
    return total / len(plain_NH)
