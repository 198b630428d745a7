"""A Ray cluster: reached or started, asked what it has, given actors, and left as it was.

Ray is imported here alone, and only when it is used. Nobody is told of that use, no dashboard is
started, and what workers print stays in Ray's own logs.
"""

from __future__ import annotations

import importlib
import os
import secrets
import shutil
import signal
import socket
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from trimtab.compute.ray.answers import Answer
from trimtab.compute.ray.placement import Node, Request
from trimtab.core import stopping
from trimtab.core.errors import ConfigError, StoreError

_CONNECT_S = 5.0
_OBJECT_STORE = 100 * 2**20
"""Bytes for what is passed through Ray itself: names of units and a few words."""

_RETRIES = 2
"""How often Ray gives a unit to a worker again that died of it, before it is told here."""

_OF_MEMORY = "due to the node running low on memory"
"""What Ray says of a worker that it ended for that. Of any other that died it says what may have
killed it, the system for want of memory among others."""

_SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_BACKEND_LOG_LEVEL": "fatal",
    # a worker without a GPU sees none: as Ray has it now, and says that it will not
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "1",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    # else workers give way to everything else on the machine
    "RAY_worker_niceness": "0",
}


_HINT = "This command must run on one of its machines; `ray status` tells how it is."


class LostError(Exception):
    """A worker died, and was not brought back in time; its unit is owed."""

    def __init__(self, why: str, *, of_memory: bool) -> None:
        """Take what Ray says, and whether it ended the worker because memory was short."""
        super().__init__(why)
        self.of_memory = of_memory


class Cluster:
    """A cluster that this process is connected to."""

    def __init__(self, ray: Any, name: str, *, grows: bool) -> None:
        """Take the library.

        Args:
            ray: The module.
            name: What the cluster is called to people.
            grows: Whether further nodes may come.
        """
        self._ray = ray
        self.name = name
        self.grows = grows

    def nodes(self) -> list[Node]:
        """Return what each living node has in all."""
        return [node["Resources"] for node in self._ray.nodes() if node["Alive"]]

    def start(self, worker: type, arguments: Sequence[object], request: Request) -> Any:
        """Ask for an actor of a class, and return its handle; it is placed when there is room."""
        make = self._ray.remote(concurrency_groups={"control": 1})(worker).options(
            num_cpus=request.cpus,
            num_gpus=request.gpus,
            memory=request.memory,
            max_restarts=-1,
            max_task_retries=_RETRIES,
        )
        return make.remote(*arguments)

    def wait(self, answers: Sequence[Any], seconds: float) -> list[Any]:
        """Return those of some answers that are there, after at most so many seconds."""
        if not answers:
            return []
        self._ray.wait(list(answers), num_returns=1, timeout=seconds)
        there, _ = self._ray.wait(list(answers), num_returns=len(answers), timeout=0)
        return list(there)

    def get(self, answer: Any) -> Answer:
        """Return an answer that is there; raise LostError if the worker was lost instead."""
        errors = self._ray.exceptions
        try:
            got: Answer = self._ray.get(answer)
        except errors.RayError as error:
            short = isinstance(error, errors.OutOfMemoryError) or _OF_MEMORY in str(error)
            raise LostError(_cause(error), of_memory=short) from error
        return got

    def tell_to_end(self, actor: Any) -> Any:
        """Ask an actor to end after the row in hand; return what it answers when it has."""
        return actor.stop.options(concurrency_group="control", max_task_retries=0).remote()

    def kill(self, actor: Any) -> None:
        """End an actor for good."""
        with suppress(self._ray.exceptions.RayError, ValueError):
            self._ray.kill(actor, no_restart=True)


@contextmanager
def connect(address: str | None, cpus: int) -> Iterator[Cluster]:
    """Be connected to a cluster while the block runs; one that was there already stays.

    Args:
        address: ``host:port`` of one; None starts one of this machine alone, whose ports take
            nobody without its token.
        cpus: Cores that a cluster of this machine may use.

    Raises:
        ConfigError: Ray is not installed, or the cluster has another version of it.
        StoreError: The cluster can't be reached.
    """
    local = address is None
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    if local:
        os.environ.update(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=secrets.token_hex(32))
    ray = _import()
    folder = tempfile.mkdtemp(prefix="tt-ray-", dir="/tmp") if local else None
    options: dict[str, Any] = {"address": address}
    if local:
        options = {
            "address": "local",
            "num_cpus": cpus,
            "include_dashboard": False,
            "object_store_memory": _OBJECT_STORE,
            "_temp_dir": folder,
        }
    else:
        assert address is not None
        _knock(address)
    try:
        with _own_signals(), _quiet():
            _init(ray, address, options)
        yield Cluster(ray, address or "Ray on this machine", grows=not local)
    finally:
        with _own_signals(), _quiet():
            ray.shutdown()
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


def _import() -> Any:
    try:
        return importlib.import_module("ray")
    except ImportError:
        raise ConfigError(
            "Ray is not installed.", hint="Install it: pip install 'trimtab[ray]'."
        ) from None


def _init(ray: Any, address: str | None, options: Mapping[str, Any]) -> None:
    try:
        ray.init(**options, log_to_driver=False, logging_level="ERROR")
    except (ray.exceptions.RayError, RuntimeError, ConnectionError, ValueError) as error:
        where = address or "of this machine"
        if "ersion mismatch" in str(error):
            raise ConfigError(
                f"The Ray cluster {where} has other versions: {_squeezed(str(error))}",
                hint="Python and Ray must be the same on all of its machines.",
            ) from error
        raise StoreError(
            f"The Ray cluster {where} can't be used: {_squeezed(str(error))}",
            hint=_HINT if address else "Is there a disk, a memory or a limit that is full?",
        ) from error


def _knock(address: str) -> None:
    """Raise at once for an address where nothing listens: Ray itself tries for a minute."""
    host, colon, port = address.rpartition(":")
    if "://" in address or not colon or not port.isdigit():
        raise ConfigError(
            f"--address: {address!r} is no address of a Ray cluster.",
            hint="Write host:port of its head, such as 10.0.0.1:6379, as `ray start` shows it.",
        )
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_CONNECT_S).close()
    except (OSError, OverflowError) as error:
        raise StoreError(
            f"No Ray cluster can be reached at {address}: {error}.",
            hint="Is its head up? Without --address workers are started on this machine.",
        ) from error


@contextmanager
def _own_signals() -> Iterator[None]:
    """Keep what this program does when it is told to end: Ray would put its own in the place."""
    before = {number: signal.getsignal(number) for number in stopping.SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _quiet() -> Iterator[None]:
    """Write nothing to standard error meanwhile: what went wrong is raised, and told once."""
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(nowhere)
        os.close(kept)


def _cause(error: Exception) -> str:
    """Return the line that tells most of an error of Ray, which are pages."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    told = [line for line in lines if "Error" in line.partition(":")[0] and ":" in line]
    return _squeezed((told or lines or [type(error).__name__])[-1 if told else 0])


def _squeezed(text: str) -> str:
    return " ".join(text.split())[:300]
