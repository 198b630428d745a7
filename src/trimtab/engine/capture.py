"""Read block outputs: sums are float64, NaN and infinity are errors, nothing above is computed.

Answers to the same prompt branch off it. There is no padding, so none can enter a mean.

Shapes: R rows, T packed tokens, N of them read, H hidden, L layers asked for.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import numpy as np
import torch

from trimtab.core.errors import ConfigError
from trimtab.engine.batch import chunks
from trimtab.engine.cache import PrefixCache
from trimtab.engine.forward import Reader
from trimtab.engine.nonfinite import locate
from trimtab.engine.passes import Pass, Past, Store
from trimtab.engine.request import Activations, ActivationsResult, Request
from trimtab.engine.scheduler import Limits, Load, batches
from trimtab.engine.segments import Segment
from trimtab.models.load import LoadedModel


class _DeepestLayerReached(Exception):
    """A signal, not an error: what lies above the deepest layer is not computed."""


def capture(
    loaded: LoadedModel, requests: Sequence[Request], limits: Limits
) -> Iterator[ActivationsResult]:
    """Yield mean activations of each request, reading all of its layers in one pass."""
    loads = [Load(r.prompt, len(_want(loaded, r).continuation)) for r in requests]
    for batch in batches(loads, limits.tokens):
        yield from _capture_batch(loaded, [requests[i] for i in batch], limits)


def _capture_batch(
    loaded: LoadedModel, requests: Sequence[Request], limits: Limits
) -> Iterator[ActivationsResult]:
    wants = [_want(loaded, r) for r in requests]
    means, norms = _read(loaded, requests, wants, limits)
    for i, (request, want) in enumerate(zip(requests, wants, strict=True)):
        mean_LH = torch.stack([means[layer][i] for layer in want.layers]).float()
        norm_L = torch.stack([norms[layer][i] for layer in want.layers]).float()
        if not (torch.isfinite(mean_LH).all() and torch.isfinite(norm_L).all()):
            tokens = [*request.prompt, *want.continuation]
            raise locate(loaded, request.key, tokens, len(request.prompt), request.edits)
        yield ActivationsResult(request.key, mean_LH, norm_L)


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
    limits: Limits,
) -> tuple[dict[int, torch.Tensor], dict[int, torch.Tensor]]:
    """Return {layer: mean [R, H]} and {layer: mean norm [R]}, both float64 on the CPU."""
    reading = _Reading(loaded, wants)
    if len({request.prompt for request in requests}) == len(requests):
        pairs = zip(requests, wants, strict=True)
        whole = [Segment((*r.prompt, *w.continuation), 0, len(r.prompt), r.edits) for r, w in pairs]
        reading.run(Pass(loaded, whole))
        return reading.result()
    cache = PrefixCache(loaded.layout.num_layers, len(requests), loaded.device)
    prompts = [Segment(r.prompt, 0, len(r.prompt), r.edits) for r in requests]
    done: list[int] = []
    for some in chunks(prompts, limits.tokens):
        store = Store(cache, some, list(done))
        reading.run(Pass(loaded, [prompts[i] for i in some], (), store), some)
        done += some
    answers = [
        Segment(w.continuation, len(r.prompt), len(r.prompt), r.edits)
        for r, w in zip(requests, wants, strict=True)
    ]
    reading.run(Pass(loaded, answers, (Past(cache, range(len(requests))),)))
    return reading.result()


class _Reading:
    """Sums over the positions that each row reads, from one or several passes."""

    def __init__(self, loaded: LoadedModel, wants: Sequence[Activations]) -> None:
        self._wants = wants
        self._layers = sorted({layer for want in wants for layer in want.layers})
        shape = (len(wants), loaded.layout.hidden_size)
        zeros = torch.zeros(shape, dtype=torch.float64, device=loaded.device)
        self._sums = {layer: zeros.clone() for layer in self._layers}
        self._norms = {layer: zeros[:, 0].clone() for layer in self._layers}

    def run(self, computing: Pass, rows: Sequence[int] | None = None) -> None:
        """Add what a pass over the segments of ``rows`` (all of them if None) reads."""
        rows = range(len(self._wants)) if rows is None else rows
        readers = {layer: self._reader(computing, layer, rows) for layer in self._layers}
        with contextlib.suppress(_DeepestLayerReached):
            computing.run(readers)

    def result(self) -> tuple[dict[int, torch.Tensor], dict[int, torch.Tensor]]:
        """Return the means over positions, on the CPU."""
        counts = [want.stop - want.start for want in self._wants]
        count_R = torch.tensor(counts, dtype=torch.float64)
        return (
            {layer: total.cpu() / count_R[:, None] for layer, total in self._sums.items()},
            {layer: total.cpu() / count_R for layer, total in self._norms.items()},
        )

    def _reader(self, computing: Pass, layer: int, rows: Sequence[int]) -> Reader:
        plan = computing.plan_after(layer)
        lines, owners = [], []
        for segment, which, row in zip(computing.segments, plan.stage.class_of, rows, strict=True):
            want = self._wants[row]
            low = max(want.start - segment.start, 0)
            high = min(want.stop - segment.start, len(segment.tokens))
            lines.append(plan.first_C[which] + np.arange(low, high))
            owners.append(np.full(max(high - low, 0), row))
        line_N, row_N = (torch.from_numpy(np.concatenate(x)) for x in (lines, owners))

        def read(h_TH: torch.Tensor) -> None:
            h_NH = h_TH[line_N.to(h_TH.device)].double()
            self._sums[layer].index_add_(0, row_N.to(h_TH.device), h_NH)
            self._norms[layer].index_add_(0, row_N.to(h_TH.device), h_NH.norm(dim=-1))
            if layer == self._layers[-1]:
                raise _DeepestLayerReached

        return read
