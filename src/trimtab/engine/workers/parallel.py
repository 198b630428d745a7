"""Rows divided among workers: processes that share the model's memory, each on some threads.

A step over single tokens is thousands of small operations. Spread over all threads, each of them
waits for the slowest thread; in threads of one process, workers wait for each other's Python
(``bench/RESULTS.md``).

How rows are divided depends on the requests and the number of workers alone, and so do results in
the last bits, as with any other change of a batch's shape; the order of texts and activations does,
too. Option scores come as they finish, so that none is held back while a slower worker computes.
"""

from __future__ import annotations

import multiprocessing
import platform
import time
from collections.abc import Iterator, Mapping, Sequence

import torch

from trimtab.engine.batching.scheduler import Limits, Load, divide
from trimtab.engine.batching.segments import common_prefix
from trimtab.engine.passes.packed import can_pack, repack
from trimtab.engine.reading.options import shared_prefixes
from trimtab.engine.request import Options, Request, Result, Text
from trimtab.engine.workers.pool import IDLE_S, Job, Work, WorkerPool
from trimtab.models.load import LoadedModel
from trimtab.models.state import State

_MOST_WORKERS = 4
_WORTH_ROWS = 32
_WORTH_TOKENS = 1024
_STALE_S = IDLE_S / 2


def num_workers(loaded: LoadedModel) -> int:
    """Return as many as torch has threads, for a model on a CPU where processes can be forked.

    Only Linux can: on macOS the system's own libraries break in a fork.
    """
    daemon = multiprocessing.current_process().daemon
    if platform.system() != "Linux" or daemon or not can_pack(loaded):
        return 1
    return min(_MOST_WORKERS, torch.get_num_threads())


class Workers:
    """Those of an engine, kept from one call to the next for as long as the model stays the same.

    A worker begins cold: a first pass over prompts takes up to a third more time than a second.
    """

    def __init__(self, loaded: LoadedModel, works: Mapping[str, Work]) -> None:
        """Take what workers may be asked for, by its kind; none is made before it is worth it."""
        self._loaded = loaded
        self._works = works
        self._most = num_workers(loaded)
        self._pool: WorkerPool | None = None
        self._state: State | None = None

    def __len__(self) -> int:
        """Return how many there are at most."""
        return self._most

    def run(self, kind: str, requests: Sequence[Request], limits: Limits) -> Iterator[Result]:
        """Yield the results of a kind of work, divided among workers if it is worth it.

        Raises:
            MemoryError: The system killed a worker, which it does when memory is short.
            RuntimeError: A worker died otherwise.
        """
        loads = _loads(requests)
        shares = divide(loads, min(self._most, _worth(requests, loads)))
        if len(shares) <= 1:
            yield from self._works[kind](requests, limits)
            return
        num = len(shares)
        each = Limits(max(1, limits.rows // num), max(1, limits.tokens // num))
        num_threads = max(1, torch.get_num_threads() // num)
        jobs = [
            Job(kind, [requests[i] for i in share], each, num_threads)
            for share in shares
            if any(requests[i].owed for i in share)
        ]
        pool, results = self._give(jobs, num, in_turn=not isinstance(requests[0].want, Options))
        try:
            yield from results
        except BaseException:  # an error, or a consumer that leaves: they are in the midst of work
            pool.close()
            raise
        self._put_back(pool)

    def _give(
        self, jobs: Sequence[Job], size: int, *, in_turn: bool
    ) -> tuple[WorkerPool, Iterator[Result]]:
        """Hand out jobs, to new workers where one that was kept is gone.

        One may end, or be ended, between the look whether it is alive and its next job.
        """
        pool = self._take(size)
        try:
            return pool, pool.give(jobs, in_turn=in_turn)
        except OSError:
            pool.close()
        pool = self._take(size)
        try:
            return pool, pool.give(jobs, in_turn=in_turn)
        except OSError as error:
            pool.close()
            raise RuntimeError("A worker ended before it was asked for anything.") from error

    def _take(self, size: int) -> WorkerPool:
        """Return workers that see the model as it is now and are not at work."""
        pool, self._pool = self._pool, None
        state = State.of(self._loaded.model)
        if pool is not None:
            idle = time.monotonic() - pool.waiting_since
            if len(pool) >= size and idle < _STALE_S and pool.is_alive and state == self._state:
                return pool
            pool.close()
        repack(self._loaded)  # once, here, where it lasts
        self._state = state
        return WorkerPool(self._works, size)

    def _put_back(self, pool: WorkerPool) -> None:
        if self._pool is not None:  # taken by another call meanwhile
            self._pool.close()
        self._pool = pool


def _loads(requests: Sequence[Request]) -> list[Load]:
    """Return what each request takes; what begins alike shares a prompt, to stay together."""
    prompts = [request.prompt for request in requests]
    if isinstance(requests[0].want, Options):
        start = common_prefix([(request.prompt, request.edits) for request in requests])
        prefix_of = shared_prefixes(requests, start)
        prompts = [
            prompt[: prefix_of[prompt]] if prefix_of[prompt] > start else prompt
            for prompt in prompts
        ]
    return [
        Load(prompt, len(request.prompt) - len(prompt) + _num_more(request))
        for prompt, request in zip(prompts, requests, strict=True)
    ]


def _num_more(request: Request) -> int:
    want = request.want
    if isinstance(want, Text):
        return want.sampling.max_tokens
    if isinstance(want, Options):
        return sum(len(option) for option in want.options)
    return len(want.continuation)


def _worth(requests: Sequence[Request], loads: Sequence[Load]) -> int:
    """Return how many workers have enough to do: a few rows cost as much as one."""
    if isinstance(requests[0].want, Text):
        return len(requests) // _WORTH_ROWS
    prompts = {load.prompt for load in loads}
    return (sum(map(len, prompts)) + sum(load.num_tokens for load in loads)) // _WORTH_TOKENS
