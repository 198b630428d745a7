"""Rows divided among workers, each on some of the processor's threads.

A step over single tokens is hundreds of small operations. Spread over all threads, each of them
waits for the slowest thread and for Python; two workers that own half of the rows wait for nobody
(``bench/RESULTS.md``). Workers share the weights, and each has a module tree of its own, because
edits and caches hang on modules while a forward runs.

How rows are divided and in which order results come depends on the requests and the number of
workers alone. Results do so in the last bits, as with any other change of a batch's shape.
"""

from __future__ import annotations

import copy
import itertools
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, replace

import torch

from trimtab.engine.head import Head
from trimtab.engine.packed import can_pack
from trimtab.engine.request import Options, Request, Result, Text
from trimtab.engine.scheduler import Limits, Load, divide
from trimtab.models.layout import find_layout
from trimtab.models.load import LoadedModel

_MOST_WORKERS = 4
_WORTH_ROWS = 32
_WORTH_TOKENS = 1024

_stopping: ContextVar[threading.Event | None] = ContextVar("trimtab_stopping", default=None)


class _Stopped(Exception):
    """A signal, not an error: nobody wants this worker's results any more."""


@dataclass(frozen=True, eq=False)
class Worker:
    """A module tree with the model's weights, and a head."""

    loaded: LoadedModel
    head: Head


Job = tuple[Worker, Sequence[Request]]
Work = Callable[[Worker, Sequence[Request], Limits], Iterator[Result]]
_Found = queue.SimpleQueue[Result | BaseException | None]


def workers(loaded: LoadedModel) -> list[Worker]:
    """Return the model itself and, on a CPU with several threads, replicas of it."""
    head = Head(loaded)
    count = min(_MOST_WORKERS, torch.get_num_threads()) if can_pack(loaded) else 1
    return [Worker(loaded, head)] + [Worker(_replica(loaded), head) for _ in range(count - 1)]


def _replica(loaded: LoadedModel) -> LoadedModel:
    """Return the model with modules of its own and the same weights."""
    tensors = itertools.chain(loaded.model.parameters(), loaded.model.buffers())
    model = copy.deepcopy(loaded.model, {id(tensor): tensor for tensor in tensors})
    return replace(loaded, model=model, layout=find_layout(model))


def stop_if_unwanted() -> None:
    """End this worker's work if its results are not wanted any more; called before a forward."""
    event = _stopping.get()
    if event is not None and event.is_set():
        raise _Stopped


def run(
    all_workers: Sequence[Worker], work: Work, requests: Sequence[Request], limits: Limits
) -> Iterator[Result]:
    """Yield the results of ``requests``, divided among as many workers as are worth it."""
    loads = [_load(request) for request in requests]
    shares = divide(loads, min(len(all_workers), _worth(requests, loads)))
    if len(shares) <= 1:
        yield from work(all_workers[0], requests, limits)
        return
    each = Limits(max(1, limits.rows // len(shares)), max(1, limits.tokens // len(shares)))
    jobs = [
        (worker, [requests[i] for i in share])
        for worker, share in zip(all_workers, shares, strict=False)
    ]
    yield from _Crew(work, jobs, each).results()


def _load(request: Request) -> Load:
    want = request.want
    if isinstance(want, Text):
        return Load(request.prompt, want.sampling.max_tokens)
    if isinstance(want, Options):
        return Load(request.prompt, sum(len(option) for option in want.options))
    return Load(request.prompt, len(want.continuation))


def _worth(requests: Sequence[Request], loads: Sequence[Load]) -> int:
    """Return how many workers have enough to do: a few rows cost as much as one."""
    if isinstance(requests[0].want, Text):
        return len(requests) // _WORTH_ROWS
    prompts = {load.prompt for load in loads}
    return (sum(map(len, prompts)) + sum(load.num_tokens for load in loads)) // _WORTH_TOKENS


class _Crew:
    """Threads that work at the same time, each with a queue of what it found."""

    def __init__(self, work: Work, jobs: Sequence[Job], limits: Limits) -> None:
        self._work = work
        self._limits = limits
        self._jobs = jobs
        self._queues: list[_Found] = [queue.SimpleQueue() for _ in jobs]
        self._stop = threading.Event()

    def results(self) -> Iterator[Result]:
        """Yield one result of each worker in turn, so that their order never depends on time.

        After an error the other workers stop, all that they found is yielded and the error raised.
        """
        num_threads = torch.get_num_threads()
        each = max(1, num_threads // len(self._jobs))
        crew = [
            threading.Thread(target=self._run, args=(job, found, each), name=f"trimtab-worker-{i}")
            for i, (job, found) in enumerate(zip(self._jobs, self._queues, strict=True))
        ]
        for thread in crew:
            thread.start()
        try:
            yield from self._in_turn()
        finally:
            self._stop.set()
            for thread in crew:
                thread.join()
            torch.set_num_threads(num_threads)

    def _in_turn(self) -> Iterator[Result]:
        errors: list[BaseException] = []
        at_work = list(self._queues)
        while at_work:
            for found in list(at_work):
                item = found.get()
                if item is None:
                    at_work.remove(found)
                elif isinstance(item, BaseException):
                    errors.append(item)
                else:
                    yield item
        if errors:
            raise errors[0]

    def _run(self, job: Job, found: _Found, num_threads: int) -> None:
        worker, requests = job
        _stopping.set(self._stop)
        torch.set_num_threads(num_threads)
        try:
            with torch.no_grad():
                for result in self._work(worker, requests, self._limits):
                    found.put(result)
        except _Stopped:
            pass
        except BaseException as error:  # raised again by the thread that asked for the results
            self._stop.set()
            found.put(error)
        finally:
            found.put(None)
