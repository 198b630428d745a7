"""Run work at the largest size that fits: a measured budget first, then halves of it.

Results do not depend on the size, up to the last bits of floating-point sums; so that a study stays
the same on every machine, sizes are fixed numbers unless memory is short.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import torch

from trimtab.core.errors import MemoryShortError, is_out_of_memory
from trimtab.engine.batching.scheduler import Ladder, Limits
from trimtab.engine.request import Options, Request, Result, Text
from trimtab.models.load import LoadedModel
from trimtab.models.memory import MemoryEstimate, available_ram, estimate_bytes

_SHARE = 0.8
"""Of the free memory that caches may take; the rest is for what a forward needs in passing."""

Work = Callable[[Sequence[Request], Limits], Iterator[Result]]


def within_memory(
    loaded: LoadedModel, ladder: Ladder, kind: str, work: Work, requests: Sequence[Request]
) -> Iterator[Result]:
    """Yield the results of ``work``; when memory runs out, go on with half as much at a time.

    What was yielded is not done again, and no request that is owed is lost.

    Raises:
        MemoryShortError: A single row does not fit.
    """
    left = list(requests)
    done = {request.key for request in requests if not request.owed}
    while not done.issuperset(request.key for request in left):
        length = max(len(r.prompt) + _num_new(r) for r in left)
        limits = _affordable(loaded, ladder.limits(kind, length), length)
        try:
            for result in work(left, limits):
                done.add(result.key)
                yield result
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            if not ladder.lower(kind, length):
                raise MemoryShortError(
                    f"A single row of {length} tokens does not fit into the memory of "
                    f"{loaded.device}: {str(error).splitlines()[0][:200]}",
                    hint="Use shorter prompts, a smaller model, or `dtype: bfloat16`.",
                ) from error
            _release(loaded)
        left = [request for request in left if request.key not in done]


def _affordable(loaded: LoadedModel, limits: Limits, length: int) -> Limits:
    """Return ``limits`` with as many rows as their caches leave room for in the free memory."""
    row = estimate_bytes(loaded.resolved.card, loaded.resolved.spec.dtype, 1, length)
    layout = loaded.layout
    rows = [_rows_on(loaded, row, device) for device in {*layout.devices, layout.head_device}]
    return replace(limits, rows=max(1, min([limits.rows, *(n for n in rows if n is not None)])))


def _rows_on(loaded: LoadedModel, row: MemoryEstimate, device: torch.device) -> int | None:
    """Return how many rows one device has room for; None if its memory is not known."""
    free = _free_on_cuda(device) if device.type == "cuda" else available_ram()
    if free is None:
        return None
    layout = loaded.layout
    per_row = row.cache * layout.devices.count(device) // layout.num_layers
    per_row += row.logits if device == layout.head_device else 0
    return int(free * _SHARE) // max(per_row, 1)


def _free_on_cuda(device: torch.device) -> int:
    """Return the free bytes of a GPU, with those that torch keeps for its next tensors."""
    kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return int(torch.cuda.mem_get_info(device)[0]) + kept


def _num_new(request: Request) -> int:
    want = request.want
    if isinstance(want, Text):
        return want.sampling.max_tokens
    if isinstance(want, Options):
        return max((len(option) for option in want.options), default=0)
    return len(want.continuation)


def _release(loaded: LoadedModel) -> None:
    gc.collect()
    if any(device.type == "cuda" for device in loaded.layout.devices):
        torch.cuda.empty_cache()
