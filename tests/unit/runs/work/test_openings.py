"""A test split that other plans have opened is told; a home that can't be used is no obstacle."""

from pathlib import Path
from typing import Any

import pytest

from trimtab.runs.store.run import Run
from trimtab.runs.work.openings import test_opened as opened


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TRIMTAB_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def make(tmp_path: Path, parts: dict[str, Any], seed: int) -> Run:
    config = {**parts["config"], "seed": seed}
    return Run.create(tmp_path / f"run-{seed}", **{**parts, "config": config})


def test_a_second_plan_is_told_and_the_first_may_open_again(
    home: Path, tmp_path: Path, parts: dict[str, Any]
) -> None:
    first, second = make(tmp_path, parts, 1), make(tmp_path, parts, 2)
    assert [opened(first).status for _ in range(2)] == ["pass", "pass"]
    assert opened(second).detail == "1 other plan has opened this test split on this machine"


@pytest.mark.parametrize(
    "content", [b'{"samples": "set-1", "pl', b"}\n", b"[]\n5\n", b"\xff\n", b"[" * 99_999]
)
def test_a_torn_list_is_read_as_far_as_it_goes(
    home: Path, tmp_path: Path, parts: dict[str, Any], content: bytes
) -> None:
    home.mkdir()
    (home / "test_opened.jsonl").write_bytes(content)
    assert opened(make(tmp_path, parts, 1)).status == "pass"
    assert opened(make(tmp_path, parts, 2)).status == "warn"


def test_a_home_that_cant_be_used_is_told_and_stops_nothing(
    home: Path, tmp_path: Path, parts: dict[str, Any]
) -> None:
    home.write_text("a file")
    check = opened(make(tmp_path, parts, 1))
    assert check.status == "warn" and "can't be used" in check.detail
    home.unlink()
    (home / "test_opened.jsonl").mkdir(parents=True)
    assert "no regular file" in opened(make(tmp_path, parts, 2)).detail
