"""A provider on loopback, and a clock whose sleeps take no time."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from cloud_sequence import Machines, Scene, Time
from loopback_lambda import KEY, Lambda, loopback_lambda

from trimtab.compute.cloud.clock import Clock
from trimtab.compute.cloud.ledger import Ledger, Record
from trimtab.compute.cloud.providers.base import PROVIDERS, Provider


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAMBDA_API_KEY", KEY)


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def server(time: Time) -> Iterator[Lambda]:
    with loopback_lambda(now=time.now, pass_time=time.advance, hang_s=0.15) as state:
        yield state


@pytest.fixture
def config(server: Lambda) -> dict:
    return {"name": "lambda", "ssh_key": "mine", "base_url": server.url, "timeout_s": 0.1}


@pytest.fixture
def provider(config: dict, time: Time) -> Provider:
    built = PROVIDERS.build("lambda", {k: v for k, v in config.items() if k != "name"})
    built.clock = Clock(time.now, time.sleep)
    return built


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "cloud")


@pytest.fixture
def machines(time: Time) -> Machines:
    return Machines(time)


@pytest.fixture
def scene(ledger: Ledger, server: Lambda, machines: Machines, time: Time) -> Scene:
    made = Scene(random.Random(0), time, server, ledger, machines)
    time.keeper = None
    return made


@pytest.fixture
def ready(scene: Scene, provider: Provider, tmp_path: Path) -> Record:
    """Return a machine for four hours that is there, with a copy of a run."""
    return scene.rent(provider, 4.0, tmp_path / "run")
