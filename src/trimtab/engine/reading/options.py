"""Score answer options as continuations of their prompt.

What all prompts have in common is computed once, then what the prompts of a group begin with, then
each prompt once, then its options branch off it, all in packed passes without padding. Options that
differ in their last token only (single letters, yes and no) share a branch.

Shapes: T packed tokens, N positions, V vocabulary, H hidden.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch

from trimtab.core.errors import ConfigError
from trimtab.engine.batching.scheduler import Limits
from trimtab.engine.batching.segments import Segment, chunks
from trimtab.engine.batching.shared_prefixes import prefix_groups
from trimtab.engine.passes.cache import PrefixCache
from trimtab.engine.passes.head import Head
from trimtab.engine.passes.nonfinite import locate
from trimtab.engine.passes.passes import Pass, Past, Store
from trimtab.engine.passes.primer import Primer
from trimtab.engine.request import Edit, Options, OptionsResult, Request
from trimtab.models.load import LoadedModel
from trimtab.models.lowrank import Adapter


@dataclass(frozen=True)
class _Branch:
    """A prompt, all of one option's tokens but the last, edits and adapter, which compare by id.

    Requests share the branches they have in common: an unedited reference serves every strength.
    """

    prompt: tuple[int, ...]
    tail: tuple[int, ...]
    edits: tuple[Edit, ...]
    adapter: Adapter | None

    def segment(self, start: int, tokens: tuple[int, ...]) -> Segment:
        """Return some of its tokens, the first of which is at position ``start``."""
        return Segment(tokens, start, len(self.prompt), self.edits, self.adapter)


def score(
    loaded: LoadedModel, head: Head, requests: Sequence[Request], limits: Limits
) -> Iterator[OptionsResult]:
    """Yield the option scores of each owed request, a batch's as soon as it is computed.

    Raises:
        NonFiniteError: Names layer and position.
    """
    primer = Primer(loaded, _unedited_twins(requests), limits.tokens)
    for batch in _batches(requests, primer.length, limits.tokens):
        if any(request.owed for request in batch):
            yield from _score_batch(loaded, head, batch, primer, limits)


def _batches(requests: Sequence[Request], start: int, most: int) -> Iterator[list[Request]]:
    """Yield requests together that need at most ``most`` tokens beyond what all share, or one.

    Those whose prompts begin alike follow each other, and what they share counts once.
    """
    asking: dict[tuple[int, ...], list[Request]] = {}
    for request in requests:
        asking.setdefault(request.prompt, []).append(request)
    batch: list[Request] = []
    tokens = 0
    last_prefix: tuple[int, ...] = ()
    for prompt, length in shared_prefixes(requests, start).items():
        prefix, rest = prompt[:length], len(prompt) - length
        for request in asking.get(prompt, ()):
            shared = 0 if prefix == last_prefix else length - start
            new = _num_branched(request)
            if batch and tokens + shared + rest + new > most:
                yield batch
                batch, tokens = [], 0
                shared, rest = length - start, len(prompt) - length
            batch.append(request)
            tokens += shared + rest + new
            last_prefix, rest = prefix, 0
    yield batch


def shared_prefixes(requests: Sequence[Request], start: int) -> dict[tuple[int, ...], int]:
    """Return how many tokens at the start of each distinct prompt are computed before the rest.

    All but the last of a prompt that several branches have, else what its group begins with; the
    longest groups first. All prompts begin with the same ``start`` tokens.
    """
    times = Counter(branch.prompt for branch in _branches(requests, [_want(r) for r in requests]))
    once = [prompt for prompt, count in times.items() if count == 1]
    groups = [([once[i] for i in f.members], f.prefix) for f in prefix_groups(once, start)]
    groups += [([prompt], len(prompt) - 1) for prompt, count in times.items() if count > 1]
    groups.sort(key=lambda group: -len(group[0][0]))
    return {prompt: prefix for prompts, prefix in groups for prompt in prompts}


def _num_branched(request: Request) -> int:
    """Return how many tokens the options of one request take."""
    want = _want(request)
    tails = {option[:-1] for option in want.options}
    references = {want.options[j][:-1] for j in want.reference}
    return sum(1 + len(tail) for tail in [*tails, *references])


def _unedited_twins(requests: Sequence[Request]) -> list[Request]:
    """Return the requests and those that stand for their references."""
    found = list(requests)
    for request in requests:
        want = _want(request)
        if want.reference_prompt is not None or (want.reference and request.adapter is not None):
            found.append(Request(None, want.reference_prompt or request.prompt, want))
    return found


def _score_batch(
    loaded: LoadedModel,
    head: Head,
    requests: Sequence[Request],
    primer: Primer,
    limits: Limits,
) -> Iterator[OptionsResult]:
    wants = [_want(r) for r in requests]
    index = _branches(requests, wants)
    prefix_of = shared_prefixes(requests, primer.length)
    needed = _positions(loaded, list(index), prefix_of, primer, limits)
    logprobs = _logprobs(head, needed, index, requests, wants)
    for i, (request, want) in enumerate(zip(requests, wants, strict=True)):
        if not request.owed:
            continue
        for option, logprob in zip(want.options, logprobs[i], strict=True):
            if not math.isfinite(logprob):
                raise locate(loaded, request, [*request.prompt, *option])
        yield OptionsResult(request.key, logprobs[i], _kl(head, needed, index, request, want))


def _reference(request: Request, want: Options, j: int) -> _Branch:
    """Return the branch that option ``j`` is compared with: the base and the reference prompt."""
    return _Branch(want.reference_prompt or request.prompt, want.options[j][:-1], (), None)


def _branch(request: Request, option: tuple[int, ...]) -> _Branch:
    return _Branch(request.prompt, option[:-1], request.edits, request.adapter)


@dataclass(frozen=True, eq=False)
class _Positions:
    """The hidden states [T, H] whose next tokens matter, and where each branch's first one is."""

    hidden_TH: torch.Tensor
    first: list[int]
    lengths: list[int]

    def of(self, branch: int) -> torch.Tensor:
        """Return the hidden states [tokens, H] of one branch."""
        first = self.first[branch]
        return self.hidden_TH[first : first + self.lengths[branch]]


def _positions(
    loaded: LoadedModel,
    branches: Sequence[_Branch],
    prefix_of: Mapping[tuple[int, ...], int],
    primer: Primer,
    limits: Limits,
) -> _Positions:
    """Compute the last prompt token and the tail of every branch, what prompts share once."""
    start = primer.length
    lengths = [1 + len(branch.tail) for branch in branches]
    pasts = primer.pasts([branch.adapter for branch in branches])
    stops = [prefix_of[branch.prompt] for branch in branches]
    if max(stops) > start:
        cache = PrefixCache(loaded.layout.num_layers, len(branches), loaded.layout.devices)
        shared = [
            b.segment(start, b.prompt[start:stop]) for b, stop in zip(branches, stops, strict=True)
        ]
        done: list[int] = []
        for some in chunks(shared, limits.tokens):
            mine, before = [shared[i] for i in some], [branches[i].adapter for i in some]
            Pass(loaded, mine, primer.pasts(before), Store(cache, some, list(done))).run()
            done += some
        pasts = (*pasts, Past(cache, range(len(branches))))
    rest = [
        b.segment(stop, (*b.prompt[stop:], *b.tail))
        for b, stop in zip(branches, stops, strict=True)
    ]
    computed = Pass(loaded, rest, pasts).run()
    first = [
        at + len(branch.prompt) - 1 - stop
        for at, branch, stop in zip(computed.first_R, branches, stops, strict=True)
    ]
    return _Positions(computed.hidden_TH, first, lengths)


def _logprobs(
    head: Head,
    needed: _Positions,
    index: dict[_Branch, int],
    requests: Sequence[Request],
    wants: Sequence[Options],
) -> list[tuple[float, ...]]:
    """Return each option's sum log-probability."""
    places: list[int] = []
    tokens: list[int] = []
    for request, want in zip(requests, wants, strict=True):
        for option in want.options:
            first = needed.first[index[_branch(request, option)]]
            places += range(first, first + len(option))
            tokens += option
    device = needed.hidden_TH.device
    used, line_T = torch.tensor(places, device=device).unique(return_inverse=True)
    token_T = torch.tensor(tokens, device=device)
    values = iter(head.logprobs(needed.hidden_TH[used], line_T, token_T).tolist())
    return [
        tuple(sum(itertools.islice(values, len(option))) for option in want.options)
        for want in wants
    ]


def _kl(
    head: Head,
    needed: _Positions,
    index: dict[_Branch, int],
    request: Request,
    want: Options,
) -> tuple[float | None, ...]:
    """Return the mean divergence of the reference options, None for the others."""
    values: list[float | None] = [None] * len(want.options)
    for j in want.reference:
        row = index[_branch(request, want.options[j])]
        reference = index[_reference(request, want, j)]
        same = row == reference
        values[j] = 0.0 if same else _divergence(head, needed.of(reference), needed.of(row))
    return tuple(values)


def _want(request: Request) -> Options:
    assert isinstance(request.want, Options)
    if not request.want.options or not all(request.want.options):
        raise ConfigError(f"Request {request.key!r} has no options, or an empty one.")
    return request.want


def _branches(requests: Sequence[Request], wants: Sequence[Options]) -> dict[_Branch, int]:
    """Number the distinct branches that the requests need."""
    index: dict[_Branch, int] = {}
    for request, want in zip(requests, wants, strict=True):
        for option in want.options:
            index.setdefault(_branch(request, option), len(index))
        for j in want.reference:
            index.setdefault(_reference(request, want, j), len(index))
    return index


def _divergence(head: Head, plain_NH: torch.Tensor, edited_NH: torch.Tensor) -> float:
    """Return the mean over positions of KL(reference || row), in nats."""
    p_NV = head.logits(plain_NH).log_softmax(dim=-1)
    q_NV = head.logits(edited_NH).log_softmax(dim=-1)
    return float((p_NV.exp() * (p_NV - q_NV)).sum(dim=-1).double().mean())
