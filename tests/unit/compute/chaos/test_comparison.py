"""A loss that is there is reported, each kind under its own name, and what may differ is not."""

import json
import shutil
from pathlib import Path

import pytest

from trimtab.compute.chaos.comparison import Losses, compare, num_records, records

CELL, JUDGE = "completions/cell-1", "scores/judge-1/cell-1"


def _write(run: Path, folder: str, rows: list[dict], name: str = "0000.jsonl") -> None:
    path = run / folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def _rows(num: int, **more: object) -> list[dict]:
    return [
        {"sample_id": f"q{n}", "index": 0, "text": "a", "attempt": 0, **more} for n in range(num)
    ]


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    run = tmp_path / "whole"
    _write(run, CELL, _rows(4))
    _write(run, JUDGE, _rows(4, value=1.0))
    (run / "artifacts/vector").mkdir(parents=True)
    (run / "artifacts/vector/v.safetensors").write_bytes(b"123")
    (run / "artifacts/vector/timings.jsonl").write_bytes(b"1 s")
    (run / "summary.json").write_text("{}")
    return run


@pytest.fixture
def run(whole: Path, tmp_path: Path) -> Path:
    return shutil.copytree(whole, tmp_path / "run")


def test_equal_runs_lose_nothing_however_their_rows_are_spread(run: Path, whole: Path) -> None:
    again = _rows(4, attempt=3, time=9.5, crc=7)
    _write(run, CELL, again[2:], "0000.jsonl")
    _write(run, CELL, again[:2], "0001.jsonl")
    (run / "artifacts/vector/timings.jsonl").write_bytes(b"2 s")
    assert compare(run, whole) == Losses()
    assert compare(run, whole).lines() == []
    assert records(run) == records(whole)
    assert num_records(run) == num_records(whole) == 8 + 2


def test_a_row_that_is_gone_or_torn_is_lost(run: Path, whole: Path) -> None:
    _write(run, JUDGE, _rows(3, value=1.0))
    path = run / CELL / "0000.jsonl"
    path.write_bytes(path.read_bytes()[:-5])
    losses = compare(run, whole)
    assert losses == Losses(lost=((CELL, "q3", 0), (JUDGE, "q3", 0)))
    assert losses.lines()[0] == f"lost: sample q3, completion 0, in {CELL}"


def test_a_whole_cell_that_is_gone_is_lost(run: Path, whole: Path) -> None:
    shutil.rmtree(run / CELL)
    assert len(compare(run, whole).lost) == 4


def test_a_row_in_two_segments_is_doubled(run: Path, whole: Path) -> None:
    _write(run, CELL, _rows(1, attempt=2), "0001.jsonl")
    assert compare(run, whole) == Losses(doubled=((CELL, "q0", 0),))


def test_a_row_that_says_something_else_differs_and_so_does_one_too_many(
    run: Path, whole: Path
) -> None:
    rows = _rows(5)
    rows[1]["text"] = "b"
    _write(run, CELL, rows)
    assert compare(run, whole) == Losses(differing=((CELL, "q1", 0), (CELL, "q4", 0)))


def test_artifacts_and_the_summary_are_compared_by_their_bytes(run: Path, whole: Path) -> None:
    (run / "artifacts/vector/v.safetensors").write_bytes(b"124")
    (run / "artifacts/vector/other").write_bytes(b"")
    (run / "summary.json").write_text("{ }")
    found = compare(run, whole)
    assert found.artifacts == ("artifacts/vector/other", "artifacts/vector/v.safetensors")
    assert found.summary == "the summary differs"
    (run / "summary.json").unlink()
    assert compare(run, whole).summary == "there is no summary"
