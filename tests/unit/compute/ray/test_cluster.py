"""A cluster that is not there is one line, at once."""

import importlib
import socket
import time
from types import SimpleNamespace

import pytest

from trimtab.compute.ray import cluster
from trimtab.core.errors import ConfigError, StoreError


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", absent)
    with pytest.raises(ConfigError, match=r"Ray is not installed.*trimtab\[ray\]"):
        cluster._import()


def test_where_nothing_listens_is_told_at_once() -> None:
    address, began = f"127.0.0.1:{_free_port()}", time.monotonic()
    with pytest.raises(StoreError, match=f"No Ray cluster can be reached at {address}"):
        cluster._knock(address)
    assert time.monotonic() - began < 6


@pytest.mark.parametrize("address", ["head", "ray://head:10001", "head:x", "auto"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(ConfigError, match="host:port of its head"):
        cluster._knock(address)


class _RayError(Exception):
    """Base of what Ray raises."""


class _OutOfMemoryError(_RayError):
    """Raised for a task that Ray ended and does not try again."""


GUESSES = (
    "The actor died unexpectedly before finishing this task.\nWorker exit type: SYSTEM_ERROR "
    "Worker exit detail: Worker unexpectedly exits with a connection error code 2. End of file. "
    "Some common causes include: (1) the process was killed by the OOM killer due to high memory "
    "usage, (2) ray stop --force was called, or (3) the worker crashed unexpectedly due to SIGSEGV"
)
MONITOR = (
    "Worker exit detail: 1 worker(s) were killed due to the node running low on memory. Memory on"
)


@pytest.mark.parametrize(
    ("error", "of_memory"),
    [(_RayError(GUESSES), False), (_RayError(MONITOR), True), (_OutOfMemoryError("ended"), True)],
)
def test_only_what_ray_itself_ended_for_it_died_of_memory(
    error: Exception, of_memory: bool
) -> None:
    def get(_: object) -> None:
        raise error

    names = SimpleNamespace(RayError=_RayError, OutOfMemoryError=_OutOfMemoryError)
    pretended = SimpleNamespace(get=get, exceptions=names)
    with pytest.raises(cluster.LostError) as caught:
        cluster.Cluster(pretended, "pretended", grows=False).get(object())
    assert caught.value.of_memory is of_memory
