"""What nobody uses, and what is over its time, is found at the provider and ended."""

import dataclasses
import threading
from pathlib import Path

import pytest
from cloud_sequence import Machines, Scene, Time, play
from loopback_lambda import Lambda, Rented

from trimtab.compute.cloud import launches, reaper
from trimtab.compute.cloud.errors import UnansweredError
from trimtab.compute.cloud.ledger import Ledger, Record
from trimtab.compute.cloud.money import make_offer
from trimtab.compute.cloud.providers.base import Provider
from trimtab.compute.ssh.hosts import Host
from trimtab.core.errors import StoreError
from trimtab.core.locks import locked


@pytest.mark.parametrize(
    ("minutes", "busy", "lost", "ended"),
    [
        (29, 0, 0, False),
        (31, 0, 0, True),
        (31, 60, 0, False),
        (31, 60, 1, True),
        (226, 600, 0, True),
    ],
)
def test_a_machine_lives_as_long_as_it_is_used_and_no_longer_than_is_paid(
    scene: Scene,
    ready: Record,
    server: Lambda,
    machines: Machines,
    time: Time,
    minutes: int,
    busy: int,
    lost: int,
    ended: bool,
) -> None:
    machines.busy_until, machines.lost = time.now() + 60 * busy, lost
    time.advance(60 * minutes)
    assert scene.reaper.reap() == ended
    assert bool(server.alive()) != ended
    assert (ready.tag in scene.fetched) == ended, "fetched first"


HOUR = 3600.0


@pytest.mark.parametrize(
    "orders",
    [[(0.0, 4.0)] * 3, [(0.0, 0.2)] * 3, [(0.0, 4.0), (3.6, 0.2)]],
    ids=["three of one deadline", "three of a short time", "the shorter one later"],
)
def test_copies_that_hang_make_no_end_too_late(
    scene: Scene,
    ledger: Ledger,
    provider: Provider,
    server: Lambda,
    time: Time,
    tmp_path: Path,
    orders: list[tuple[float, float]],
) -> None:
    scene.fetch_s, start, records = float("inf"), time.now(), []
    for after, hours in orders:
        time.advance(max(0.0, start + HOUR * after - time.now()))
        records.append(scene.rent(provider, hours, tmp_path / "run"))
    time.advance(max(record.deadline for record in records) - time.now())
    assert scene.reaper.reap() == len(records) and not server.alive()
    for record in records:
        assert server.dollars(record.tag) <= record.dollars
        told = f"{record.tag}: nothing is fetched: its end, or that of others, can't wait"
        assert (told in scene.told) == (record.tag not in scene.fetched)
    assert scene.fetched
    ends = {each.name: each.end for each in server.rented}
    urgent = sorted(records, key=lambda record: record.start + HOUR * record.hours)
    assert [ends[record.tag] for record in urgent] == sorted(ends.values())


@pytest.mark.parametrize(
    ("hours", "first", "second"), [(0.2, 0, 2), (4.0, 2, 0)], ids=["it waits", "it is fetched"]
)
def test_a_copy_that_hangs_holds_up_none_whose_time_is_nearly_over(
    scene: Scene,
    provider: Provider,
    server: Lambda,
    time: Time,
    tmp_path: Path,
    hours: float,
    first: int,
    second: int,
) -> None:
    scene.fetch_s = float("inf")
    used = scene.rent(provider, hours, tmp_path / "run")
    time.advance(max(0.0, used.deadline - 60 - HOUR - time.now()))
    idle = scene.rent(provider, 4.0, tmp_path / "run")
    scene.ledger.beat(idle.tag, time.now() - HOUR)
    time.advance(used.deadline - 60 - time.now())
    scene.ledger.beat(used.tag, time.now())
    assert scene.reaper.reap() == first, "one is idle, the other one not due yet"
    time.advance(max(0.0, used.deadline - time.now()))
    assert scene.reaper.reap() == second and not server.alive()
    assert scene.fetched >= {idle.tag}
    for record in (used, idle):
        assert server.dollars(record.tag) <= record.dollars


def test_a_machine_that_answers_nothing_for_ever_holds_no_other_up(
    scene: Scene,
    ready: Record,
    server: Lambda,
    machines: Machines,
    time: Time,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    over = threading.Event()
    monkeypatch.setattr(machines, "is_working", lambda record: over.wait(20))
    monkeypatch.setattr(reaper, "_MOST_ANSWER_S", 0.05)
    time.advance(HOUR)
    assert scene.reaper.reap() == 1 and not server.alive()
    assert scene.told == [
        f"{ready.tag} is ended: it gives no sign of life: it did not answer in 0.05 s."
    ]
    over.set()


def test_a_machine_that_a_bug_is_met_with_keeps_no_other_alive(
    scene: Scene,
    ready: Record,
    provider: Provider,
    server: Lambda,
    machines: Machines,
    time: Time,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sooner = scene.rent(provider, 2.0, tmp_path / "run")
    asked = {sooner.tag: ZeroDivisionError("a bug"), ready.tag: StoreError("gone")}
    monkeypatch.setattr(machines, "is_working", lambda record: _raise(asked[record.tag]))
    time.advance(HOUR)
    with pytest.raises(StoreError, match=r"ZeroDivisionError.*a bug"):
        scene.reaper.reap()
    assert [each.name for each in server.alive()] == [sooner.tag]


def _raise(error: Exception) -> None:
    raise error


def test_one_process_alone_fetches_and_ends(
    scene: Scene, ready: Record, server: Lambda, time: Time
) -> None:
    meanwhile = []

    def fetch(record: Record, seconds: float) -> None:
        meanwhile.append((scene.reaper.reap(), len(server.alive())))

    time.advance(HOUR)
    assert dataclasses.replace(scene.reaper, fetch=fetch).reap() == 1 and not server.alive()
    assert meanwhile == [(0, 1)]


def test_what_another_process_does_not_end_in_time_is_ended(
    scene: Scene, ready: Record, server: Lambda, time: Time
) -> None:
    time.advance(ready.deadline - time.now())
    with locked(scene.ledger.end_lock(ready.tag), wait=False):
        assert scene.reaper.reap() == 0, "there is time for another one to fetch"
        time.advance(ready.start + HOUR * ready.hours - 160 - time.now())
        assert scene.reaper.reap() == 1 and not server.alive()
    assert server.dollars(ready.tag) <= ready.dollars


def test_a_machine_of_another_configuration_of_the_account_is_known(
    scene: Scene, ready: Record, time: Time
) -> None:
    time.advance(ready.deadline - time.now())
    scene.reaper.reap_one({**scene.config, "timeout_s": 0.2}, lambda _: None)
    assert ready.tag in scene.fetched and not scene.ledger.open_records()


def test_a_machine_of_another_account_is_not_taken_for_ended(
    scene: Scene, ready: Record, server: Lambda, time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.rented.clear()
    time.advance(ready.deadline - time.now())
    with monkeypatch.context() as other:
        other.setenv("LAMBDA_API_KEY", "another_0123456789")
        assert scene.reaper.reap() == 0 and scene.ledger.open_records() == [ready]
    assert scene.reaper.reap() == 0 and not scene.ledger.open_records()


def test_a_launch_that_was_killed_after_it_took_effect_is_ended(
    scene: Scene, ledger: Ledger, provider: Provider, server: Lambda, time: Time
) -> None:
    offer = make_offer(provider.types(), "gpu_1x_a10", None, 3.00, None)
    record = launches.intend(ledger, offer, scene.config, provider)
    provider.launch(launches.order_of(record, time.now()))
    assert scene.reaper.reap() == 0, "who ordered it is alive"
    scene._bury()
    assert scene.reaper.reap() == 1 and not server.alive()


def test_several_machines_of_one_name_cost_no_more_together_than_was_confirmed(
    scene: Scene, ledger: Ledger, provider: Provider, server: Lambda, time: Time
) -> None:
    offer = make_offer(provider.types(), "gpu_1x_a10", None, 3.00, None)
    record = launches.intend(ledger, offer, scene.config, provider)
    server.faults["launch"] += ["twice"]
    provider.launch(launches.order_of(record, time.now()))
    assert len(server.alive()) == 2
    half = (record.start + record.hours * 1800) - time.now()
    time.advance(half / 2)
    ledger.beat(record.tag, time.now())
    assert scene.reaper.reap() == 0, "who ordered it is alive, and looks which is the one"
    margin = record.hours * 3600 - (record.deadline - record.start)
    time.advance(half / 2 - margin)
    assert scene.reaper.reap() == 2 and not server.alive()
    assert record.dollars / 2 < server.dollars(record.tag) <= record.dollars


def test_a_provider_that_says_yes_and_does_nothing_is_told_and_asked_again(
    scene: Scene, ready: Record, server: Lambda, time: Time
) -> None:
    server.faults["terminate"] += ["ok and nothing"] * 3
    time.advance(3600)
    with pytest.raises(
        StoreError, match=r"i-0000 did not end, and may be charged.*cloud.lambda.ai"
    ):
        scene.reaper.reap()
    assert server.alive() and scene.ledger.open_records()
    assert scene.reaper.reap() == 1 and not server.alive() and not scene.ledger.open_records()


def test_machines_of_others_are_left_alone_until_their_names_say_otherwise(
    scene: Scene, server: Lambda, time: Time
) -> None:
    names = ["theirs", f"trimtab-abcdef-123456-{int(time.now()) + 60:x}", "trimtab-notes"]
    server.rented += [Rented(f"i-{n}", name, 75, time.now()) for n, name in enumerate(names)]
    assert scene.reaper.reap([scene.config]) == 0
    time.advance(61)
    assert scene.reaper.reap([scene.config]) == 1
    assert [each.name for each in server.alive()] == ["theirs", "trimtab-notes"]


def test_a_journal_that_is_damaged_keeps_no_other_machine_alive(
    scene: Scene, ready: Record, server: Lambda, time: Time
) -> None:
    (scene.ledger.folder / "trimtab-aaaaaa-bbbbbb-1.jsonl").write_bytes(b'{"tag": "x"}\n\xff')
    with (scene.ledger.folder / f"{ready.tag}.jsonl").open("ab") as file:
        file.write(b'{"ended": 12')  # a crash tore this line
    scene.ledger.beat(ready.tag, time.now())
    assert scene.ledger.note(ready.tag, why="x").ended is None
    time.advance(3600 * 5)
    assert scene.reaper.reap() == 1 and not server.alive()


@pytest.mark.parametrize("address", ["-oProxyCommand=sh", "a b", "x;y'"])
def test_what_is_no_address_reaches_no_ssh(
    provider: Provider, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = provider.host("10.0.0.1", Host(address="cloud", port=22))
    assert (plain.address, plain.port) == ("ubuntu@10.0.0.1", 22)
    monkeypatch.setattr(type(provider), "user", None)
    with pytest.raises(UnansweredError, match="is no address"):
        provider.host(address, Host(address="cloud"))


@pytest.mark.parametrize("seed", [10, 25])
def test_nothing_survives_and_no_cap_is_passed(seed: int, tmp_path) -> None:
    assert play(seed, tmp_path).problems == []


@pytest.mark.campaign
@pytest.mark.timeout(600)
def test_nothing_survives_a_hundred_sequences_of_faults(tmp_path) -> None:
    outcomes = [play(seed, tmp_path / str(seed)) for seed in range(100)]
    assert {n: each.problems for n, each in enumerate(outcomes) if each.problems} == {}
    met = sum((each.met for each in outcomes), start=type(outcomes[0].met)())
    assert met["kill -9"] > 50 and sum(met.values()) > 500
