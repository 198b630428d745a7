"""One order, one machine: whatever the provider answers, nothing is left that nobody knows of."""

import pytest
from cloud_sequence import Machines, Time
from loopback_lambda import KEY, Lambda

from trimtab.compute.cloud import launches
from trimtab.compute.cloud.endings import end
from trimtab.compute.cloud.errors import RefusedError
from trimtab.compute.cloud.ledger import Ledger, Record, deadline_of
from trimtab.compute.cloud.money import make_offer
from trimtab.compute.cloud.providers.base import Provider
from trimtab.core.errors import ConfigError, StoreError


def _nothing(line: str) -> None:
    pass


@pytest.fixture
def record(ledger: Ledger, provider: Provider, config: dict, time: Time) -> Record:
    """Return what is about to be ordered: a machine for two hours, of which 15 minutes are kept."""
    offer = make_offer(provider.types(), "gpu_1x_a10", None, 1.50, None)
    return launches.intend(ledger, offer, config, provider)


def test_what_is_ordered_is_on_the_disk_before_the_call_and_its_end_in_its_name(
    record: Record, ledger: Ledger, server: Lambda, time: Time
) -> None:
    assert server.calls == ["GET /instance-types"]
    (known,) = ledger.open_records()
    assert known == record and known.id is None and known.dollars == 1.50
    assert known.deadline == time.now() + 1.75 * 3600
    assert deadline_of(record.tag) == int(known.deadline)


@pytest.mark.parametrize("fault", [None, "429", "500 done", "timeout done", "twice", "unseen"])
def test_one_machine_is_there_and_known_whatever_was_answered(
    record: Record, ledger: Ledger, provider: Provider, server: Lambda, fault: str | None
) -> None:
    server.faults["launch"].append(fault)
    found = launches.launch(ledger, provider, record, _nothing)
    assert [each.id for each in server.alive()] == [found.id]
    assert server.calls.count("POST /instance-operations/launch") == 1 + (fault == "429")
    assert server.keys == {f"Bearer {KEY}"}


@pytest.mark.parametrize("fault", ["500", "timeout"])
def test_an_order_whose_effect_nobody_knows_is_not_sent_again(
    record: Record, ledger: Ledger, provider: Provider, server: Lambda, fault: str
) -> None:
    server.faults["launch"].append(fault)
    with pytest.raises(StoreError, match="Nobody can say whether"):
        launches.launch(ledger, provider, record, _nothing)
    assert server.calls.count("POST /instance-operations/launch") == 1
    assert ledger.open_records(), "it may yet appear"


def test_what_costs_more_than_was_shown_is_ended_at_once(
    record: Record, ledger: Ledger, provider: Provider, server: Lambda
) -> None:
    server.faults["launch"].append("dearer")
    with pytest.raises(StoreError, match=r"costs \$1.50 an hour, and \$0.75 was shown"):
        launches.launch(ledger, provider, record, _nothing)
    assert not server.alive() and not ledger.open_records()


def test_what_the_provider_refuses_is_closed(
    record: Record, ledger: Ledger, provider: Provider, server: Lambda
) -> None:
    server.faults["launch"] += ["429"] * 6
    with pytest.raises(RefusedError, match="429: global/rate-limited, 6 times"):
        launches.launch(ledger, provider, record, _nothing)
    assert not ledger.open_records()


@pytest.mark.parametrize(
    ("lost", "broken", "boots", "reason"),
    [
        (2, False, True, None),
        (500, False, True, "no route"),
        (0, True, True, "deadline is not set"),
        (0, False, False, "starting"),
    ],
)
def test_a_machine_that_can_not_be_used_is_ended(
    record: Record,
    ledger: Ledger,
    provider: Provider,
    server: Lambda,
    machines: Machines,
    lost: int,
    broken: bool,
    boots: bool,
    reason: str | None,
) -> None:
    machines.lost, machines.broken = lost, broken
    server.faults["launch"].append(None if boots else "no boot")
    record = launches.launch(ledger, provider, record, _nothing)
    if reason is None:
        record = launches.wait(ledger, provider, machines, record, 20, _nothing)
        assert record.address == "127.0.0.1"
        assert machines.deadlines[record.tag] == pytest.approx(record.deadline)
        return
    with pytest.raises(StoreError, match=reason):
        launches.wait(ledger, provider, machines, record, 20, _nothing)
    assert not server.alive() and not ledger.open_records()


def test_a_machine_that_a_bug_makes_useless_is_ended(
    record: Record,
    ledger: Ledger,
    provider: Provider,
    server: Lambda,
    machines: Machines,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*what: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(machines, "prepare", broken)
    record = launches.launch(ledger, provider, record, _nothing)
    with pytest.raises(ZeroDivisionError):
        launches.wait(ledger, provider, machines, record, 20, _nothing)
    assert not server.alive() and not ledger.open_records()


def test_a_list_that_is_refused_once_ends_no_machine_and_keeps_none_alive(
    record: Record, ledger: Ledger, provider: Provider, server: Lambda, machines: Machines
) -> None:
    record = launches.launch(ledger, provider, record, _nothing)
    server.faults["list"].append("404")
    record = launches.wait(ledger, provider, machines, record, 20, _nothing)
    assert record.address == "127.0.0.1" and server.alive()
    server.faults["list"] += ["404", "404"]
    end(provider, [record.id])
    assert not server.alive() and not server.faults["list"]


def test_caps_that_pay_for_too_little_are_refused(provider: Provider) -> None:
    types = provider.types()
    with pytest.raises(ConfigError, match=r"allow 8.0 minutes of gpu_1x_a10 at \$0.75"):
        make_offer(types, "gpu_1x_a10", None, 0.10, None)
    with pytest.raises(ConfigError, match="can't be had now"):
        make_offer(types, "gpu_8x_h100", None, 100, None)
    with pytest.raises(ConfigError, match="no machine 'gpu_1x_a1'"):
        make_offer(types, "gpu_1x_a1", None, 100, None)
    assert make_offer(types, "gpu_1x_a10", None, 100, 1.5).dollars == 1.13


def test_kinds_are_listed_with_price_and_memory(provider: Provider) -> None:
    cheap, dear = provider.types()
    assert (cheap.name, cheap.dollars_per_hour, cheap.gpus) == ("gpu_1x_a10", 0.75, 1)
    assert (cheap.gpu, cheap.gpu_memory_gib, cheap.regions) == ("A10", 24.0, ("us-east-1",))
    assert (dear.gpus, dear.gpu_memory_gib, dear.memory_gib) == (8, 80.0, 1600.0)


@pytest.mark.parametrize(
    ("base_url", "message"),
    [
        ("http://cloud.example/v1", "without TLS"),
        ("https://me:pw@cloud.example/v1", "must hold no user name and no password"),
    ],
)
def test_a_key_is_never_sent_in_the_clear_or_in_an_address(
    provider: Provider, base_url: str, message: str
) -> None:
    provider.config = provider.config.model_copy(update={"base_url": base_url})
    with pytest.raises(ConfigError, match=message):
        provider.types()
