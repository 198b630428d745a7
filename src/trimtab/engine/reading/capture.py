"""Read activations: sums are float64, NaN and infinity are errors, nothing above is computed.

Answers to the same prompt branch off it. There is no padding, so none can enter a mean.

Shapes: R rows, T packed tokens, N of them read, H hidden, L layers asked for.
"""

from __future__ import annotations

import contextlib
from collections.abc import Hashable, Iterator, Sequence

import numpy as np
import torch

from trimtab.core.errors import ConfigError
from trimtab.engine.batching.scheduler import Limits, Load, batches
from trimtab.engine.batching.segments import Segment, chunks, common_prefix
from trimtab.engine.passes.cache import PrefixCache
from trimtab.engine.passes.inner import Reader
from trimtab.engine.passes.nonfinite import locate
from trimtab.engine.passes.passes import Pass, Past, Store
from trimtab.engine.passes.primer import Primer
from trimtab.engine.request import Activations, ActivationsResult, Place, Request
from trimtab.models.load import LoadedModel

_WORTH_SHARING = 64
"""Tokens of a common start, such as few-shot examples, that are computed apart from the rows."""


class _DeepestPlaceReached(Exception):
    """A signal, not an error: what lies above the deepest place is not computed."""


def capture(
    loaded: LoadedModel, requests: Sequence[Request], limits: Limits
) -> Iterator[ActivationsResult]:
    """Yield mean activations of each owed request, reading all of its layers in one pass."""
    wants = [_want(loaded, request) for request in requests]
    unread = min(want.start for want in wants)
    pairs = [(request.prompt, request.edits) for request in requests]
    start = common_prefix(pairs, before=unread, worth=_WORTH_SHARING)
    primer = Primer(loaded, requests, limits.tokens, start)
    loads = [
        Load(r.prompt[start:], len(want.continuation))
        for r, want in zip(requests, wants, strict=True)
    ]
    for batch in batches(loads, limits.tokens):
        if any(requests[i].owed for i in batch):
            yield from _capture_batch(loaded, [requests[i] for i in batch], primer, limits)


def _capture_batch(
    loaded: LoadedModel, requests: Sequence[Request], primer: Primer, limits: Limits
) -> Iterator[ActivationsResult]:
    wants = [_want(loaded, r) for r in requests]
    reading = _read(loaded, requests, wants, primer, limits)
    for i, (request, want) in enumerate(zip(requests, wants, strict=True)):
        if not request.owed:
            continue
        result = reading.result(request.key, i)
        if not is_finite(result):
            # alone, so that no row is given up for a neighbour's infinities
            result = _read(loaded, [request], [want], primer, limits).result(request.key, 0)
        if not is_finite(result) and not want.allow_nonfinite:
            raise locate(loaded, request, [*request.prompt, *want.continuation])
        yield result


def is_finite(result: ActivationsResult) -> bool:
    """Whether every number of ``result`` is finite."""
    return bool(torch.isfinite(result.mean_LH).all() and torch.isfinite(result.norm_L).all())


def _want(loaded: LoadedModel, request: Request) -> Activations:
    want = request.want
    assert isinstance(want, Activations)
    length = len(request.prompt) + len(want.continuation)
    if not 0 <= want.start < want.stop <= length:
        raise ConfigError(
            f"Request {request.key!r} reads positions {want.start} to {want.stop}"
            f" of {length} tokens."
        )
    if not want.layers or not all(0 <= x < loaded.layout.num_layers for x in want.layers):
        raise ConfigError(
            f"Request {request.key!r} reads layers {want.layers}; the model has blocks 0 to "
            f"{loaded.layout.num_layers - 1}."
        )
    return want


def _read(
    loaded: LoadedModel,
    requests: Sequence[Request],
    wants: Sequence[Activations],
    primer: Primer,
    limits: Limits,
) -> _Reading:
    """Run the passes that the requests need: prompts that several of them share come first."""
    reading = _Reading(loaded, wants)
    start, pasts = primer.length, primer.pasts([request.adapter for request in requests])
    if len({request.prompt for request in requests}) == len(requests):
        pairs = zip(requests, wants, strict=True)
        whole = [_segment(r, (*r.prompt[start:], *w.continuation), start) for r, w in pairs]
        reading.run(Pass(loaded, whole, pasts), range(len(requests)))
        return reading
    cache = PrefixCache(loaded.layout.num_layers, len(requests), loaded.layout.devices)
    prompts = [_segment(r, r.prompt[start:], start) for r in requests]
    done: list[int] = []
    for some in chunks(prompts, limits.tokens):
        store = Store(cache, some, list(done))
        before = primer.pasts([requests[i].adapter for i in some])
        reading.run(Pass(loaded, [prompts[i] for i in some], before, store), some)
        done += some
    answered = [i for i, want in enumerate(wants) if want.continuation]
    answers = [
        _segment(requests[i], wants[i].continuation, len(requests[i].prompt)) for i in answered
    ]
    if answered:
        before = primer.pasts([requests[i].adapter for i in answered])
        reading.run(Pass(loaded, answers, (*before, Past(cache, answered))), answered)
    return reading


def _segment(request: Request, tokens: tuple[int, ...], start: int) -> Segment:
    return Segment(tokens, start, len(request.prompt), request.edits, request.adapter)


class _Reading:
    """Sums over the positions that each row reads, from one or several passes."""

    def __init__(self, loaded: LoadedModel, wants: Sequence[Activations]) -> None:
        self._wants = wants
        self._places = sorted({(layer, w.site) for w in wants for layer in w.layers}, key=_depth)
        self._sums: dict[Place, torch.Tensor] = {}
        self._norms: dict[Place, torch.Tensor] = {}
        width = {"residual": loaded.layout.hidden_size, "heads": loaded.layout.head_width}
        for place in self._places:
            shape = (len(wants), width[place[1]])
            device = loaded.layout.devices[place[0]]
            self._sums[place] = torch.zeros(shape, dtype=torch.float64, device=device)
            self._norms[place] = self._sums[place][:, 0].clone()
        self._each: dict[tuple[int, Place], list[torch.Tensor]] = {}

    def run(self, computing: Pass, rows: Sequence[int]) -> None:
        """Add what a pass over the segments of ``rows`` reads."""
        readers = {place: self._reader(computing, place, rows) for place in self._places}
        with contextlib.suppress(_DeepestPlaceReached):
            computing.run(readers)

    def result(self, key: Hashable, row: int) -> ActivationsResult:
        """Return what a row asked for, on the CPU."""
        want = self._wants[row]
        places = [(layer, want.site) for layer in want.layers]
        count = want.stop - want.start
        each = [torch.cat(self._each[row, place]).float().cpu() for place in places if want.each]
        return ActivationsResult(
            key,
            torch.stack([self._sums[place][row].cpu() / count for place in places]).float(),
            torch.stack([self._norms[place][row].cpu() / count for place in places]).float(),
            torch.stack(each, dim=1) if each else None,
        )

    def _reader(self, computing: Pass, place: Place, rows: Sequence[int]) -> Reader:
        plan = computing.plan_at(place)
        lines, owners = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
        for segment, which, row in zip(computing.segments, plan.stage.class_of, rows, strict=True):
            want = self._wants[row]
            low = max(want.start - segment.start, 0)
            high = min(want.stop - segment.start, len(segment.tokens))
            lines.append(plan.first_C[which] + np.arange(low, high))
            owners.append(np.full(max(high - low, 0), row))
        line_N, row_N = (np.concatenate(x) for x in (lines, owners))

        def read(h_TH: torch.Tensor) -> None:
            h_NH = h_TH[torch.from_numpy(line_N).to(h_TH.device)].double()
            index = torch.from_numpy(row_N).to(h_TH.device)
            self._sums[place].index_add_(0, index, h_NH)
            self._norms[place].index_add_(0, index, h_NH.norm(dim=-1))
            for row in {int(row) for row in row_N if self._wants[row].each}:
                self._each.setdefault((row, place), []).append(h_NH[index == row])
            if place == self._places[-1]:
                raise _DeepestPlaceReached

        return read


def _depth(place: Place) -> tuple[int, bool]:
    """Return what sorts places in the order in which a forward reaches them."""
    return place[0], place[1] == "residual"
