"""Rows divided among workers: processes that share the model's memory, each on some threads.

A step over single tokens is thousands of small operations. Spread over all threads, each of them
waits for the slowest thread; in threads of one process, workers wait for each other's Python
(``bench/RESULTS.md``). A worker is a fork: it sees the weights and the requests where they are, and
what it writes is its own.

How rows are divided and in which order results come depends on the requests and the number of
workers alone. Results do so in the last bits, as with any other change of a batch's shape.
"""

from __future__ import annotations

import contextlib
import copyreg
import gc
import io
import multiprocessing
import os
import pickle
import platform
import signal
import threading
import traceback
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from typing import Any

import torch

from trimtab.engine.packed import can_pack, repack
from trimtab.engine.request import Options, Request, Result, Text
from trimtab.engine.scheduler import Limits, Load, divide
from trimtab.models.load import LoadedModel

NAME = "trimtab-worker"

_MOST_WORKERS = 4
_WORTH_ROWS = 32
_WORTH_TOKENS = 1024

Work = Callable[[Sequence[Request], Limits], Iterator[Result]]
_Found = Result | BaseException | None
"""What a worker sends: None is its end."""


def num_workers(loaded: LoadedModel) -> int:
    """Return as many as torch has threads, for a model on a CPU where processes can be forked.

    Only Linux can: on macOS the system's own libraries break in a fork.
    """
    daemon = multiprocessing.current_process().daemon
    if platform.system() != "Linux" or daemon or not can_pack(loaded):
        return 1
    return min(_MOST_WORKERS, torch.get_num_threads())


def run(
    loaded: LoadedModel, most: int, work: Work, requests: Sequence[Request], limits: Limits
) -> Iterator[Result]:
    """Yield the results of ``work``, divided among up to ``most`` workers if it is worth it.

    Raises:
        MemoryError: The system killed a worker, which it does when memory is short.
        RuntimeError: A worker died otherwise.
    """
    loads = [_load(request) for request in requests]
    shares = divide(loads, min(most, _worth(requests, loads)))
    if len(shares) <= 1:
        yield from work(requests, limits)
        return
    repack(loaded)  # once, here, where it lasts
    each = Limits(max(1, limits.rows // len(shares)), max(1, limits.tokens // len(shares)))
    with _Crew(work, [[requests[i] for i in share] for share in shares], each) as crew:
        yield from crew.results()


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
    """Processes that work at the same time, and what they have sent so far."""

    def __init__(self, work: Work, shares: Sequence[Sequence[Request]], limits: Limits) -> None:
        context = multiprocessing.get_context("fork")
        num_threads = max(1, torch.get_num_threads() // len(shares))
        self._found: dict[Connection, deque[_Found]] = {}
        self._processes = []
        for i, share in enumerate(shares):
            receiving, sending = context.Pipe(duplex=False)
            arguments = (work, share, limits, num_threads, sending)
            process = context.Process(
                target=_serve, args=arguments, name=f"{NAME}-{i}", daemon=True
            )
            self._processes.append(process)
            self._found[receiving] = deque()
            with _quiet_fork():
                process.start()
            sending.close()

    def __enter__(self) -> _Crew:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.kill()
        for process, receiving in zip(self._processes, self._found, strict=True):
            process.join()
            receiving.close()

    def results(self) -> Iterator[Result]:
        """Yield one result of each worker in turn, so that their order never depends on time.

        After an error of one, the others stop, all that was found is yielded and the error raised.
        """
        at_work = list(self._found)
        while at_work:
            for receiving in list(at_work):
                item = self._next(receiving)
                if item is None:
                    at_work.remove(receiving)
                elif isinstance(item, BaseException):
                    found = [item for items in self._found.values() for item in items]
                    yield from (i for i in found if i and not isinstance(i, BaseException))
                    raise item
                else:
                    yield item

    def _next(self, receiving: Connection) -> _Found:
        """Return a worker's next item, and keep what others send meanwhile: pipes are small."""
        while not self._found[receiving]:
            for ready in wait([c for c in self._found if not c.closed]):
                assert isinstance(ready, Connection)
                self._found[ready].append(self._receive(ready))
        return self._found[receiving].popleft()

    def _receive(self, receiving: Connection) -> _Found:
        try:
            item: _Found = pickle.loads(receiving.recv_bytes())
        except (EOFError, OSError):  # the latter in the middle of a result
            item = self._death_of(receiving)
        if item is None or isinstance(item, BaseException):
            receiving.close()
        return item

    def _death_of(self, receiving: Connection) -> BaseException:
        process = self._processes[list(self._found).index(receiving)]
        process.join()
        if process.exitcode == -signal.SIGKILL:
            return MemoryError("The system killed a worker, as it does when memory is short.")
        return RuntimeError(f"A worker died with exit code {process.exitcode}.")


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


def _serve(
    work: Work, requests: Sequence[Request], limits: Limits, num_threads: int, sending: Connection
) -> None:
    """Be a worker, and end with the process that wants the results, however it ends."""
    gc.freeze()  # a collection would write into every object, and so copy the pages it shares
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    # OpenMP's threads belong to the thread that made them, and were not forked
    arguments = (work, requests, limits, num_threads, sending)
    threading.Thread(target=_send_all, args=arguments, daemon=True).start()
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)


def _send_all(
    work: Work, requests: Sequence[Request], limits: Limits, num_threads: int, sending: Connection
) -> None:
    torch.set_num_threads(num_threads)
    try:
        with torch.no_grad():
            for result in work(requests, limits):
                sending.send_bytes(_pickled(result))
        sending.send_bytes(_pickled(None))
    except BaseException as error:  # raised again by the process that asked for the results
        error.add_note("In a worker:\n" + "".join(traceback.format_exception(error)))
        sending.send_bytes(_pickled_error(error))
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


def _pickled(item: _Found) -> bytes:
    """Return an item for a pipe; tensors go as arrays, which takes a tenth of the time."""
    buffer = io.BytesIO()
    pickler = pickle.Pickler(buffer, protocol=5)
    pickler.dispatch_table = copyreg.dispatch_table | {torch.Tensor: _as_array}
    pickler.dump(item)
    return buffer.getvalue()


def _as_array(tensor: torch.Tensor) -> tuple[Any, ...]:
    return torch.from_numpy, (tensor.detach().numpy(),)
