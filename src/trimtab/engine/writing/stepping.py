"""Write texts by steps of fixed shape: the device chooses, and what it chose is read later.

The rows, their order, their tokens and how they end are those of ``decode.write``. But nobody waits
for a token: steps are asked for ahead, and each one's tokens are read when they have long arrived.
A text that ended meanwhile has surplus steps, which are not read.

Shapes: B rows.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator, Sequence

import numpy as np
import torch

from trimtab.engine.batching.scheduler import Limits, entering, halved
from trimtab.engine.passes.head import Head
from trimtab.engine.request import Request, TextResult
from trimtab.engine.writing.choosing import Chooser
from trimtab.engine.writing.decode import Writing, extend, located, queue_of
from trimtab.engine.writing.graphs import Record, Runner
from trimtab.engine.writing.static import StaticBatch
from trimtab.models.load import LoadedModel

_AHEAD = 2
"""Steps that are asked for before the tokens of one are read."""

_log = logging.getLogger(__name__)


def why_not(loaded: LoadedModel) -> str | None:
    """Return why a model's texts are not written by recorded steps; None if they are."""
    devices = {*loaded.layout.devices, loaded.layout.head_device}
    if any(device.type != "cuda" for device in devices):
        return "the model is not wholly on a CUDA device"
    if len(devices) > 1:
        return f"the model is spread over {len(devices)} devices"
    if loaded.layout.rotation is not None:
        return "its rotary frequencies depend on the length of a row"
    return None


def write_static(
    loaded: LoadedModel,
    head: Head,
    requests: Sequence[Request],
    limits: Limits,
    record: Record | None = None,
) -> Iterator[TextResult]:
    """Yield each request's text as it finishes; raise NonFiniteError naming layer and position.

    Args:
        loaded: The model, on one device.
        head: Its head.
        requests: In the order in which they shall start; no dynamic strengths.
        limits: How many rows and tokens at a time.
        record: How steps are recorded; by CUDA graphs, where there are some, if not given.
    """
    waiting = queue_of(requests)
    num_rows = min(limits.rows, len(waiting))
    chooser = Chooser([row.want for row in waiting], head, num_rows)
    runner = Runner(loaded.device, record)
    batch = StaticBatch(loaded, requests, num_rows, limits.tokens, chooser, runner)
    try:
        yield from _Stepping(loaded, batch, waiting, num_rows).results()
    finally:
        # what was asked for ahead may still be reading
        runner.forget()


class _Stepping:
    """The rows of a batch, and the steps that were asked for and not yet read."""

    def __init__(
        self, loaded: LoadedModel, batch: StaticBatch, waiting: deque[Writing], num_rows: int
    ) -> None:
        self._loaded, self._batch, self._waiting = loaded, batch, waiting
        self._rows = [waiting.popleft() for _ in range(num_rows)]
        self._asked = [0] * num_rows
        self._later: deque[tuple[list[Writing], _Later]] = deque()
        self._begin(range(num_rows))

    def results(self) -> Iterator[TextResult]:
        """Write all rows to their ends."""
        while not all(row.done for row in self._rows):
            writing = [i for i, row in enumerate(self._rows) if not row.done]
            # where a row's last step is under way, only its end is missing
            unasked = [i for i in writing if self._asked[i] < _most(self._rows[i])]
            if unasked:
                self._later.append((list(self._rows), _Later(self._batch.launch(writing))))
                self._asked = [asked + 1 for asked in self._asked]
            if not unasked or len(self._later) > _AHEAD:
                yield from self._read(*self._later.popleft())
                self._renew()

    def _read(self, rows: list[Writing], chosen: _Later) -> Iterator[TextResult]:
        for row, (token, logprob) in zip(rows, chosen.values(), strict=True):
            if row.done:
                continue
            if not np.isfinite(logprob):
                raise located(self._loaded, row)
            result = extend(self._loaded, row, int(token), logprob)
            if result is not None:
                row.done = True
                # the batch may have fewer rows by now
                place = next(i for i, other in enumerate(self._rows) if other is row)
                self._batch.note(place, row.tokens)
                yield result

    def _renew(self) -> None:
        """Let waiting rows enter in the place of finished ones, or go on with fewer rows."""
        free = [i for i, row in enumerate(self._rows) if row.done]
        if self._waiting and entering(len(free), len(self._rows)):
            free = free[: len(self._waiting)]
            for i in free:
                self._rows[i] = self._waiting.popleft()
            self._begin(free)
        elif free and not self._waiting:
            self._shrink(free)

    def _begin(self, rows: Sequence[int]) -> None:
        some = [self._rows[i] for i in rows]
        self._batch.begin(rows, [row.request for row in some], [row.index for row in some])
        for i in rows:
            self._asked[i] = 0

    def _shrink(self, free: Sequence[int]) -> None:
        """Halve the number of rows if half of them are free, once all is read."""
        alive = [i for i, row in enumerate(self._rows) if not row.done]
        num_rows = halved(len(alive), len(self._rows))
        if not alive or num_rows == len(self._rows):
            return
        kept = sorted([*alive, *free[: num_rows - len(alive)]])
        self._batch.keep(kept)
        self._rows = [self._rows[i] for i in kept]
        self._asked = [self._asked[i] for i in kept]


class _Later:
    """A tensor on its way to the CPU."""

    def __init__(self, tensor: torch.Tensor) -> None:
        self._values = tensor.to("cpu", non_blocking=True, copy=True)
        self._arrived = torch.cuda.Event() if tensor.is_cuda else None
        if self._arrived is not None:
            self._arrived.record(torch.cuda.current_stream(tensor.device))

    def values(self) -> list[list[float]]:
        """Return it as lists; waits if it is not there yet."""
        if self._arrived is not None:
            self._arrived.synchronize()
        found: list[list[float]] = self._values.tolist()
        return found


def _most(row: Writing) -> int:
    return row.want.sampling.max_tokens
