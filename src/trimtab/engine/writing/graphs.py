"""Steps that are recorded once and replayed: CUDA graphs, and plain calls where there are none.

A step of a large model is some thousand small operations. A GPU is done with each of them before
Python has asked for the next; a graph asks for all of them at once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable
from typing import Any

import torch

Step = Callable[[], None]
"""Reads and writes memory that stays where it is, by the same operations whenever it is called."""

Record = Callable[[Step], Step]
"""Records what a step does, without doing it; returns what does it again."""

_log = logging.getLogger(__name__)


class Runner:
    """Runs steps, recorded if that is possible."""

    def __init__(self, device: torch.device, record: Record | None = None) -> None:
        """Record by ``record``; by CUDA graphs on such a device, if it is not given."""
        on_cuda = device.type == "cuda"
        self._stream = torch.cuda.Stream(device) if on_cuda else None
        self._record = _Graphs(self._stream) if record is None and on_cuda else record
        self._seen: set[Hashable] = set()
        self._recorded: dict[Hashable, Step] = {}

    def run(self, key: Hashable, step: Step) -> None:
        """Run ``step``; steps with equal keys do the same on the same memory.

        The first step of a key is run as it is, beside the main stream, which brings libraries into
        the state they record from. The second is recorded. If that fails, one line says so and no
        step is recorded any more.

        Raises:
            OutOfMemoryError: There is no room for a recording.
        """
        if key not in self._recorded and self._record is not None and key in self._seen:
            try:
                self._recorded[key] = self._record(step)
            except torch.OutOfMemoryError:
                raise
            except RuntimeError as error:
                self._record = None
                reason = str(error).splitlines()[0][:200]
                _log.warning("Steps are not recorded, which is slower on a GPU: %s", reason)
        if key in self._recorded:
            self._recorded[key]()
        else:
            self._seen.add(key)
            self._aside(step)

    def _aside(self, step: Step) -> None:
        """Run a step on a stream of its own, between what was asked for before and after."""
        if self._stream is None:
            step()
            return
        main = torch.cuda.current_stream(self._stream.device)
        self._stream.wait_stream(main)
        with torch.cuda.stream(self._stream):
            step()
        main.wait_stream(self._stream)

    def forget(self) -> None:
        """Drop all recordings; nothing may be reading their memory any more."""
        if self._stream is not None:
            torch.cuda.synchronize(self._stream.device)
        self._seen.clear()
        self._recorded.clear()


class _Graphs:
    """Records CUDA graphs, which share the memory of what they compute in passing."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._pool = torch.cuda.graph_pool_handle()

    def __call__(self, step: Step) -> Step:
        graph = torch.cuda.CUDAGraph()
        with (
            torch.cuda.device(self._stream.device),
            # other threads may go on using the device
            torch.cuda.graph(
                graph, pool=self._pool, stream=self._stream, capture_error_mode="thread_local"
            ),
        ):
            step()

        def replay() -> None:
            with torch.cuda.device(self._stream.device):
                graph.replay()

        return replay
