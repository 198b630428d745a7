"""The ledger's file: nothing in it is lost, changed or added without a word."""

import json
import os
import shutil
from pathlib import Path

import pytest

from trimtab.clients.budget import NANO, Ledger, Reply
from trimtab.core.errors import StoreError
from trimtab.runs.store.verify import examine


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A journal with a cap, two settled requests and a reserved one."""
    ledger = Ledger(tmp_path / "run" / "spend.jsonl")
    ledger.set_cap(1.0)
    for name in ("r1", "r2"):
        mark = ledger.reserve("judge", 500, name)
        ledger.settle(mark, 300, basis="usage", request=name, reply=Reply("yes"))
    ledger.reserve("judge", 70, "r3")
    return ledger.path


def test_any_changed_byte_is_an_error(path: Path) -> None:
    whole = path.read_bytes()
    assert Ledger(path).spent() * NANO == pytest.approx(670)
    for place in range(0, len(whole), 7):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(StoreError, match=r"damaged"):
            Ledger(path).spent()


@pytest.mark.parametrize("kept", [[0, 2, 3, 4, 5], [0, 1, 2, 3, 4], [0, 1], []])
def test_lines_that_are_gone_are_an_error(path: Path, kept: list[int]) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[i] for i in kept))
    with pytest.raises(StoreError, match=r"are gone|followed by") as error:
        Ledger(path).spent()
    assert "\n" not in str(error.value)


def test_what_is_gone_from_the_end_can_be_given_up(path: Path) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:3]))
    path.with_name(".spend.jsonl.lock").unlink()
    ledger = Ledger(path)
    assert ledger.spent() * NANO == pytest.approx(300)
    ledger.reserve("judge", 5, "r4")
    assert Ledger(path).spent() * NANO == pytest.approx(305)


def test_lines_of_earlier_versions_are_read_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "spend.jsonl"
    old = [
        {"kind": "cap", "account": "*", "nanodollars": 1000, "time": 1.5, "pid": 3},
        {"kind": "reserve", "id": "m", "account": "j", "nanodollars": 9, "request": "r"},
    ]
    path.write_text("".join(f"{json.dumps(row)}\n" for row in old))
    ledger = Ledger(path)
    ledger.settle("m", 4, basis="usage")
    assert (ledger.num_unchecked(), ledger.spent() * NANO) == (2, pytest.approx(4))
    assert Ledger(path).spent() * NANO == pytest.approx(4)


def test_nothing_is_written_through_a_link_or_to_another_name(path: Path, tmp_path: Path) -> None:
    other = tmp_path / "snapshot"
    os.link(path, other)
    before = other.read_bytes()
    Ledger(path).reserve("judge", 5, "r4")
    assert other.read_bytes() == before and path.read_bytes().startswith(before)
    path.rename(tmp_path / "moved")
    path.symlink_to(tmp_path / "moved")
    with pytest.raises(StoreError, match=r"is a link"):
        Ledger(path).reserve("judge", 5, "r5")
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(StoreError, match=r"no regular file"):
        Ledger(path).spent()


def test_who_only_reads_needs_no_lock(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = Path(shutil.copytree(path.parent, path.parent.with_name("read-only")))
    (copy / ".spend.jsonl.lock").unlink()
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert Ledger(copy / "spend.jsonl").accounts()[0].requests == 3
    assert not (copy / ".spend.jsonl.lock").exists()


def test_verify_looks_at_it(path: Path) -> None:
    (path.parent / "plan").mkdir()
    assert examine(path.parent).differs == []
    path.write_bytes(path.read_bytes().replace(b'"nanodollars":300', b'"nanodollars":200'))
    assert any("spend.jsonl is damaged" in line for line in examine(path.parent).differs)
