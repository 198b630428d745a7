"""The ledger: caps that hold over threads, processes and deaths, and replies that are kept."""

import json
import os
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from faulty_api import FAULTS, INPUT, OUTPUT, faulty_api, verdict

from trimtab.clients.budget import NANO, Ledger, Reply, cost
from trimtab.clients.http import HttpChat
from trimtab.core.errors import ConfigError, JudgeError
from trimtab.core.spec import Endpoint, Price
from trimtab.core.types import Message


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "spend.jsonl")


def test_cost_is_rounded_up_to_a_nanodollar() -> None:
    assert cost(Price(input=0.15, output=0.6), 1000, 10) == 156_000
    assert cost(Price(input=0.0001, output=0), 1, 0) == 1
    assert cost(Price(input=3, output=15), 0, 0) == 0


def test_a_reservation_counts_until_it_is_settled(ledger) -> None:
    ledger.set_cap(10 / NANO)
    mark = ledger.reserve("a", 6, "r1")
    with pytest.raises(JudgeError, match="cap of this run"):
        Ledger(ledger.path).reserve("b", 5, "r2")
    ledger.settle(mark, 2, basis="usage", request="r1", reply=Reply("yes"))
    other = Ledger(ledger.path)
    other.reserve("b", 8, "r2")
    assert ledger.spent() * NANO == pytest.approx(10)
    assert ledger.spent("a") * NANO == pytest.approx(2)
    assert other.reply("r1") == Reply("yes") and other.reply("r2") is None


def test_accounts_tell_what_is_sure_from_what_may_have_been_billed(ledger) -> None:
    ledger.set_cap(30 / NANO)
    ledger.set_cap(20 / NANO, "b")
    paid = ledger.reserve("b", 6, "r1")
    ledger.settle(paid, 2, basis="usage", request="r1", reply=Reply(None))
    mute = ledger.reserve("b", 5, "r2")
    ledger.settle(mute, None, basis="no usage", request="r2", reply=Reply("yes"))
    refused = ledger.reserve("b", 5, "r3")
    ledger.settle(refused, 0, basis="status 429")
    ledger.reserve("a", 7, "r4")  # and its process is killed
    a, b = Ledger(ledger.path).accounts()
    assert (a.name, a.requests, a.replies, a.cap) == ("a", 1, 0, None)
    assert (a.dollars * NANO, a.unsure * NANO) == (pytest.approx(7), pytest.approx(7))
    assert (b.name, b.requests, b.replies, b.cap) == ("b", 3, 2, 20 / NANO)
    assert (b.dollars * NANO, b.unsure * NANO) == (pytest.approx(7), pytest.approx(5))
    assert a.dollars + b.dollars == pytest.approx(ledger.spent())


def test_money_needs_a_cap_and_free_requests_do_not(ledger) -> None:
    with pytest.raises(JudgeError, match="there is no cap"):
        ledger.reserve("a", 1, "r")
    ledger.leave(ledger.reserve("a", 0, "r"))
    ledger.set_cap(1 / NANO, "a")
    ledger.leave(ledger.reserve("a", 1, "r"))
    with pytest.raises(JudgeError, match="cap of a"):
        ledger.reserve("a", 1, "r")
    ledger.reserve("a", 0, "r")
    assert ledger.cap("a") == 1 / NANO and ledger.cap() is None


def test_the_configured_cap_does_not_undo_a_raised_one(ledger) -> None:
    ledger.set_cap(1, "a", keep=True)
    ledger.set_cap(5, "a")
    Ledger(ledger.path).set_cap(1, "a", keep=True)
    assert ledger.cap("a") == 5


def test_one_that_does_not_fit_waits_for_those_under_way(ledger) -> None:
    ledger.set_cap(10 / NANO)
    mark = ledger.reserve("a", 9, "r1")
    timer = threading.Timer(
        0.2, lambda: [ledger.settle(mark, 1, basis="usage"), ledger.leave(mark)]
    )
    timer.start()
    begun = time.monotonic()
    ledger.reserve("a", 9, "r2")
    assert time.monotonic() - begun >= 0.15
    timer.join()


def test_a_line_torn_by_a_crash_hides_nothing_and_blocks_nothing(ledger) -> None:
    ledger.set_cap(10 / NANO)
    mark = ledger.reserve("a", 4, "r1")
    with ledger.path.open("ab") as file:
        file.write(b'{"kind": "settle", "id": "' + mark.encode())
    again = Ledger(ledger.path)
    assert again.spent() * NANO == pytest.approx(4), "the reservation of a dead process stands"
    again.reserve("a", 6, "r2")
    with pytest.raises(JudgeError):
        Ledger(ledger.path).reserve("a", 1, "r3")


def test_totals_equal_a_slow_reading_of_the_journal(ledger) -> None:
    ledger.set_cap(1.0)
    rng = random.Random(0)
    peers = [ledger, Ledger(ledger.path), Ledger(ledger.path)]
    for number in range(60):
        peer = rng.choice(peers)
        mark = peer.reserve(rng.choice("ab"), rng.randrange(1000), f"r{number}")
        if rng.random() < 0.7:
            peer.settle(mark, rng.choice([None, 0, 7, 2000]), basis="x")
    latest: dict[str, tuple[str, int]] = {}
    for line in ledger.path.read_text().splitlines():
        row = json.loads(line)
        if row["kind"] != "cap":
            account = row.get("account") or latest[row["id"]][0]
            latest[row["id"]] = (account, row["nanodollars"])
    for peer in peers:
        assert peer.spent() * NANO == pytest.approx(sum(n for _, n in latest.values()))
        assert peer.spent("a") * NANO == pytest.approx(
            sum(n for account, n in latest.values() if account == "a")
        )


def test_a_model_without_a_price_is_refused() -> None:
    from trimtab.core.config import validate

    with pytest.raises(ConfigError, match="price"):
        validate(Endpoint, {"base_url": "http://x/v1", "model": "m"}, "endpoint")


_WORKER = """
import json, sys
from trimtab.clients.budget import Ledger
from trimtab.clients.http import HttpChat
from trimtab.core.errors import JudgeError
from trimtab.core.spec import Endpoint
from trimtab.core.streams import in_order
from trimtab.core.types import Message
endpoint = Endpoint.model_validate(json.loads(sys.argv[1]))
chat = HttpChat(endpoint, Ledger(__import__("pathlib").Path(sys.argv[2])), sys.argv[3])
prompts = [(Message(role="user", content=text),) for text in json.loads(sys.argv[4])]
try:
    print(json.dumps(in_order(chat.complete(prompts, 1), len(prompts))))
except JudgeError as error:
    print(json.dumps(str(error)))
"""


def run_workers(shares: dict[str, list[str]], endpoint: dict, path: Path) -> list:
    environment = {**os.environ, "NO_PROXY": "127.0.0.1", "PYTHONPATH": os.pathsep.join(sys.path)}
    started = [
        subprocess.Popen(
            [sys.executable, "-c", _WORKER, json.dumps(endpoint), str(path), name, json.dumps(own)],
            stdout=subprocess.PIPE,
            env=environment,
            text=True,
        )
        for name, own in shares.items()
    ]
    return [json.loads(process.communicate(timeout=100)[0]) for process in started]


def test_two_processes_never_pass_the_cap_and_neither_lose_nor_repeat_a_reply(
    tmp_path: Path,
) -> None:
    path = tmp_path / "spend.jsonl"
    prompts = [f"Is this right? {number}" for number in range(56)]
    shares = {"truth": prompts[:28], "info": prompts[28:]}
    with faulty_api() as api:
        endpoint = {
            "base_url": api.url,
            "model": "m",
            "api_key_env": None,
            "price": {"input": INPUT, "output": OUTPUT},
            "max_retries": 4,
            "timeout_s": 0.5,
            "num_parallel": 4,
        }
        ledger = Ledger(path)
        cap = 0.0015
        ledger.set_cap(cap)
        stopped = run_workers(shares, endpoint, path)
        assert any("cap of this run" in str(found) for found in stopped)
        assert api.dollars <= ledger.spent() <= cap
        assert api.dollars > cap / 4, "the cap is used, not only kept"
        ledger.set_cap(1.0)
        found = run_workers(shares, endpoint, path)
        expected = [
            [
                None if FAULTS[int(p.split()[-1]) % len(FAULTS)] == "no text" else verdict(p)
                for p in share
            ]
            for share in shares.values()
        ]
        assert found == expected
        assert set(api.delivered) >= set(prompts)
        assert max(api.delivered.values()) == 1, "a reply that was paid for is never asked again"
        assert api.dollars <= ledger.spent() <= 1.0


def test_a_server_that_names_its_cost_is_believed(tmp_path, monkeypatch) -> None:
    from trimtab.clients import _paid

    price = Price(input=1, output=1)
    assert _paid._paid({"usage": {"cost": 0.25}}, price)[0] == NANO // 4
    assert _paid._paid({"usage": {"prompt_tokens": 3, "completion_tokens": 2}}, price)[0] == 5000
    for broken in ({}, {"usage": None}, {"usage": {"prompt_tokens": 3}}, {"usage": {"cost": "1"}}):
        assert _paid._paid(broken, price)[0] is None


def test_the_endpoints_own_cap_is_the_accounts(tmp_path) -> None:
    endpoint = Endpoint(
        base_url="http://127.0.0.1:9/v1",
        model="m",
        api_key_env=None,
        price=Price(input=1, output=1),
        max_dollars=0.0,
    )
    ledger = Ledger(tmp_path / "spend.jsonl")
    chat = HttpChat(endpoint, ledger, "truth")
    with pytest.raises(JudgeError, match="cap of truth"):
        next(chat.complete([(Message(role="user", content="x"),)], 1))
