"""One process for each provider and key looks again and again; it counts when it has looked."""

from pathlib import Path

import pytest
from cloud_sequence import KEEPER_S, Scene, Time
from loopback_lambda import KEY, Lambda

from trimtab.compute.cloud import keeper as keepers
from trimtab.compute.cloud.clock import Clock
from trimtab.compute.cloud.keeper import Keeper, next_look
from trimtab.compute.cloud.ledger import Ledger, Record
from trimtab.compute.cloud.providers.base import Provider
from trimtab.core.errors import ConfigError, HeldError
from trimtab.core.locks import locked


@pytest.fixture
def keeper(ledger: Ledger, config: dict, provider: Provider) -> Keeper:
    return Keeper(ledger, config, provider)


def test_a_keeper_of_another_key_or_provider_runs_beside_and_one_of_the_same_does_not(
    scene: Scene,
    ready: Record,
    keeper: Keeper,
    ledger: Ledger,
    config: dict,
    provider: Provider,
    server: Lambda,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    keeper.keep(scene.reaper, KEEPER_S)
    assert not server.alive(), "nobody used it"
    (lock,) = ledger.folder.glob("keeper-*.lock")
    with locked(lock, wait=False):
        with pytest.raises(HeldError):
            Keeper(ledger, config, provider).keep(scene.reaper, KEEPER_S)
        Keeper(ledger, {**config, "timeout_s": 0.2}, provider).keep(scene.reaper, KEEPER_S)
        monkeypatch.setenv("LAMBDA_API_KEY", "another_0123456789")
        Keeper(ledger, config, provider).keep(scene.reaper, KEEPER_S)
    files = list(ledger.folder.glob("keeper-*"))
    assert len(files) == 6
    assert not any(KEY in f"{path}{path.read_text()}" for path in files)
    monkeypatch.delenv("LAMBDA_API_KEY")
    with pytest.raises(ConfigError, match="holds no key"):
        Keeper(ledger, config, provider)


def test_a_keeper_is_there_when_it_has_listed_the_machines(
    scene: Scene,
    ready: Record,
    keeper: Keeper,
    ledger: Ledger,
    config: dict,
    provider: Provider,
    server: Lambda,
    time: Time,
) -> None:
    seen = []

    def sleep(seconds: float) -> None:
        seen.append(keeper.last_listing() > 0)
        time.sleep(seconds)

    server.faults["list"].append("404")
    provider.clock = Clock(time.now, sleep)
    Keeper(ledger, config, provider).keep(scene.reaper, KEEPER_S)
    assert seen[:3] == [False, False, True] and "error: UnansweredError" in scene.told[0]


def test_a_machine_that_is_ordered_while_its_keeper_ends_has_one(
    scene: Scene,
    keeper: Keeper,
    provider: Provider,
    server: Lambda,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ordered = []

    def look(*what: object) -> float | None:
        wait = next_look(*what)
        if wait is None and not ordered:
            ordered.append(scene.rent(provider, 4.0, tmp_path / "run"))
        return wait

    monkeypatch.setattr(keepers, "next_look", look)
    keeper.keep(scene.reaper, KEEPER_S)
    assert ordered and not server.alive()


def test_a_keeper_waits_for_no_machine_of_another_configuration_that_it_does_not_see(
    ready: Record, keeper: Keeper, ledger: Ledger, config: dict
) -> None:
    assert keeper._next_look(KEEPER_S) == KEEPER_S
    ledger.note(ready.tag, provider={**config, "ssh_key": "another"})
    assert keeper._next_look(KEEPER_S) is None
    keeper._note([ready.tag])
    assert keeper._next_look(KEEPER_S) == KEEPER_S, "it is of the same account"
