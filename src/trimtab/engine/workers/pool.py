"""Processes that compute for an engine: forks that wait for requests and send results.

A fork sees the model's weights where they are; what it writes is its own.
"""

from __future__ import annotations

import contextlib
import copyreg
import gc
import io
import multiprocessing
import os
import pickle
import signal
import threading
import time
import traceback
import warnings
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

import torch

from trimtab.engine.batching.scheduler import Limits
from trimtab.engine.request import Request, Result

NAME = "trimtab-worker"
IDLE_S = 10.0
"""How long a worker waits for its next requests before it ends: it holds memory."""

Work = Callable[[Sequence[Request], Limits], Iterator[Result]]


@dataclass(frozen=True)
class _Done:
    """What a worker sends last: when it began to wait for its next job (``time.monotonic``)."""

    at: float


_Found = Result | BaseException | _Done
"""What a worker sends."""


@dataclass(frozen=True)
class Job:
    """What a worker is asked for: a kind of work, its share of the requests, and how to do it."""

    kind: str
    requests: Sequence[Request]
    limits: Limits
    num_threads: int


@dataclass(frozen=True)
class _Worker:
    process: Any
    jobs: Connection
    results: Connection


class WorkerPool:
    """Workers that compute at the same time, one job after the other."""

    def __init__(self, works: Mapping[str, Work], size: int) -> None:
        """Fork ``size`` of them, which see everything as it is now; they end with this object."""
        self._workers = [_fork(works, f"{NAME}-{i}") for i in range(size)]
        self._since = {worker.results: time.monotonic() for worker in self._workers}
        self.close = weakref.finalize(self, _end, self._workers)
        """Ends them, at work or not."""

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._workers)

    @property
    def is_alive(self) -> bool:
        """Whether all of them are."""
        return all(worker.process.is_alive() for worker in self._workers)

    @property
    def waiting_since(self) -> float:
        """When the one that waits for the longest time began to: it ends after ``IDLE_S``."""
        return min(self._since.values())

    def give(self, jobs: Sequence[Job], *, in_turn: bool) -> Iterator[Result]:
        """Hand out one job each, to as many as there are jobs; return what they find.

        After an error of one the iterator yields what it has of the others and raises the error;
        the pool must be closed then, and when the iterator is left before its end.

        Args:
            jobs: The jobs.
            in_turn: Yield one result of each worker in turn, so that their order never depends on
                time; else each as it comes, so that none waits for a slower worker.

        Raises:
            OSError: A worker is not there any more; nothing was done.
            MemoryError: The system killed a worker, which it does when memory is short.
            RuntimeError: A worker died otherwise.
        """
        for worker, job in zip(self._workers, jobs, strict=False):
            worker.jobs.send_bytes(_pickled(job))
        at_work = self._workers[: len(jobs)]
        return (_in_turn if in_turn else _as_they_come)(at_work, self._since)


def _end(workers: Sequence[_Worker]) -> None:
    for worker in workers:
        worker.process.kill()
    for worker in workers:
        worker.process.join()
        worker.jobs.close()
        worker.results.close()


def _in_turn(workers: Sequence[_Worker], since: dict[Connection, float]) -> Iterator[Result]:
    found: dict[Connection, deque[_Found]] = {worker.results: deque() for worker in workers}
    sending = {worker.results: worker.process for worker in workers}
    while found:
        for connection in list(found):
            while not found[connection]:
                # keep what others send meanwhile: pipes are small
                for ready in wait(list(sending)):
                    assert isinstance(ready, Connection)
                    item = _receive(ready, sending[ready])
                    found[ready].append(item)
                    if isinstance(item, _Done | BaseException):
                        del sending[ready]
            item = found[connection].popleft()
            if isinstance(item, _Done):
                since[connection] = item.at
                del found[connection]
            elif isinstance(item, BaseException):
                kept = [item for items in found.values() for item in items]
                yield from (i for i in kept if not isinstance(i, _Done | BaseException))
                raise item
            else:
                yield item


def _as_they_come(workers: Sequence[_Worker], since: dict[Connection, float]) -> Iterator[Result]:
    sending = {worker.results: worker.process for worker in workers}
    while sending:
        for ready in wait(list(sending)):
            assert isinstance(ready, Connection)
            item = _receive(ready, sending[ready])
            if isinstance(item, _Done):
                since[ready] = item.at
                del sending[ready]
            elif isinstance(item, BaseException):
                raise item
            else:
                yield item


def _receive(receiving: Connection, process: Any) -> _Found:
    try:
        item: _Found = pickle.loads(receiving.recv_bytes())
    except (EOFError, OSError):  # the latter in the middle of a result
        process.join()
        if process.exitcode == -signal.SIGKILL:
            return MemoryError("The system killed a worker, as it does when memory is short.")
        return RuntimeError(f"A worker died with exit code {process.exitcode}.")
    return item


def _fork(works: Mapping[str, Work], name: str) -> _Worker:
    context = multiprocessing.get_context("fork")
    jobs_there, jobs_here = context.Pipe(duplex=False)
    results_here, results_there = context.Pipe(duplex=False)
    process = context.Process(
        target=_serve, args=(works, jobs_there, results_there), name=name, daemon=True
    )
    with _quiet_fork():
        process.start()
    jobs_there.close()
    results_there.close()
    return _Worker(process, jobs_here, results_here)


@contextlib.contextmanager
def _quiet_fork() -> Iterator[None]:
    """Keep libraries from warning of a fork: a worker uses none of what it may break."""
    name = "TOKENIZERS_PARALLELISM"
    before = os.environ.get(name)
    os.environ[name] = before or "false"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            yield
    finally:
        if before is None:
            del os.environ[name]


def _serve(works: Mapping[str, Work], jobs: Connection, results: Connection) -> None:
    """Be a worker, and end with the process that wants the results, however it ends."""
    gc.freeze()  # a collection would write into every object, and so copy the pages it shares
    # what a terminal, and the last what a scheduler, sends to all processes: one of them decides
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    # OpenMP's threads belong to the thread that made them, and were not forked
    threading.Thread(target=_work, args=(works, jobs, results), daemon=True).start()
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)


def _work(works: Mapping[str, Work], jobs: Connection, results: Connection) -> None:
    try:
        while jobs.poll(IDLE_S):
            job: Job = pickle.loads(jobs.recv_bytes())
            torch.set_num_threads(job.num_threads)
            with torch.no_grad():
                for result in works[job.kind](job.requests, job.limits):
                    results.send_bytes(_pickled(result))
            del job
            results.send_bytes(_pickled(_Done(time.monotonic())))
    except BaseException as error:  # raised again by the process that asked for the results
        error.add_note("In a worker:\n" + "".join(traceback.format_exception(error)))
        results.send_bytes(_pickled_error(error))
    finally:
        os._exit(0)


def _pickled_error(error: BaseException) -> bytes:
    """Return an error for a pipe; one that would not arrive, as text."""
    try:
        pickled = _pickled(error)
        pickle.loads(pickled)
    except Exception:  # an error's class decides what goes wrong here
        return _pickled(RuntimeError("".join(traceback.format_exception(error))))
    return pickled


def _pickled(item: Job | _Found) -> bytes:
    """Return an item for a pipe; tensors go as arrays, which takes a tenth of the time."""
    buffer = io.BytesIO()
    pickler = pickle.Pickler(buffer, protocol=5)
    pickler.dispatch_table = copyreg.dispatch_table | {torch.Tensor: _as_array}
    pickler.dump(item)
    return buffer.getvalue()


def _as_array(tensor: torch.Tensor) -> tuple[Any, ...]:
    if tensor.dtype == torch.bfloat16:
        return torch.Tensor.bfloat16, (tensor.float(),)
    return torch.from_numpy, (tensor.detach().cpu().numpy(),)
