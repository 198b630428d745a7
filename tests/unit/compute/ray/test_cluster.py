"""A cluster that is not there is one line, at once."""

import importlib
import socket
import time

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
