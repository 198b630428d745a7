"""Each attempt writes its own files, one per cell or judge and cell; a fence stops every row."""

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from trimtab.core.errors import HeldError, StoreError
from trimtab.core.types import Completion, Score
from trimtab.runs.store.run import Run
from trimtab.runs.work import segments
from trimtab.runs.work.segments import Segments


def completion(cell: str, sample: str) -> Completion:
    return Completion(
        cell=cell, sample_id=sample, protocol="p", num_prompt_tokens=1, text="x",
        finish_reason="eos",
    )  # fmt: skip


def score(cell: str, sample: str, judge: str = "exact-1") -> Score:
    return Score(cell=cell, sample_id=sample, judge=judge, values={"x": 1.0})


def free() -> None:
    """Let every row pass."""


def lost() -> None:
    raise HeldError("lost")


@pytest.fixture
def run(tmp_path: Path, parts: dict[str, Any]) -> Run:
    return Run.create(tmp_path / "run", **parts)


def test_rows_are_there_as_soon_as_they_are_written_each_in_its_file(run: Run) -> None:
    files = Segments(run, 7)
    rows = [
        completion("cell-1", "a"),
        completion("cell-2", "b"),
        score("cell-1", "a"),
        score("cell-1", "a", "other"),
        completion("cell-1", "b"),
    ]
    for row in rows:
        files.write(row, free)
    assert list(run.completions("cell-1")) == [("cell-1", "a", 0), ("cell-1", "b", 0)]
    assert run.scores("other", "cell-1") == {("cell-1", "a", 0): rows[3]}
    written = [*run.dir.glob("completions/*/*.jsonl"), *run.dir.glob("scores/*/*/*.jsonl")]
    assert len(written) == 4 and {path.name[:5] for path in written} == {"a0007"}
    files.close()
    assert run.problems() == []


def test_a_row_that_the_fence_stops_is_not_written_and_the_next_one_is(run: Run) -> None:
    files = Segments(run, 1)
    with pytest.raises(HeldError):
        files.write(completion("cell-1", "a"), lost)
    assert not (run.dir / "completions").exists()
    files.write(completion("cell-1", "b"), free)
    files.close()
    assert list(run.completions("cell-1")) == [("cell-1", "b", 0)]


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc to tell files by their number")
def test_completions_wait_for_the_disk_and_scores_for_half_a_second(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    fsync = os.fsync

    def noting(fd: int) -> None:
        path = Path(os.readlink(f"/proc/self/fd/{fd}"))
        if path.suffix == ".jsonl":
            synced.append(path.parent.name)
        fsync(fd)

    now = [100.0]
    monkeypatch.setattr(os, "fsync", noting)
    monkeypatch.setattr(segments.time, "monotonic", lambda: now[0])
    files = Segments(run, 1)
    for sample in "ab":
        files.write(completion("cell-1", sample), free)
    assert synced == ["cell-1"] * 2
    synced.clear()
    for sample in "ab":
        files.write(score("cell-2", sample), free)
    assert synced == []
    now[0] += 0.6
    files.write(score("cell-2", "c"), free)
    assert synced == ["cell-2"], "once for all that were put off"
    files.write(score("cell-1", "c"), free)
    files.sync()
    files.sync()
    assert synced == ["cell-2", "cell-1"]
    files.close()


def test_of_many_cells_few_files_are_open_and_each_cell_has_one(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segments, "_MOST_OPEN", 2)
    files = Segments(run, 7)
    before = len(os.listdir("/proc/self/fd"))
    for sample in "ab":
        for number in range(20):
            files.write(completion(f"cell-{number}", sample), free)
            files.write(score(f"cell-{number}", sample), free)
    assert len(os.listdir("/proc/self/fd")) <= before + 2
    files.close()
    written = [*run.dir.glob("completions/*/*.jsonl"), *run.dir.glob("scores/*/*/*.jsonl")]
    assert len(written) == 40
    assert {path.read_bytes().count(b"\n") for path in written} == {2}


def test_a_file_that_is_taken_away_meanwhile_is_an_error(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segments, "_MOST_OPEN", 1)
    files = Segments(run, 7)
    files.write(completion("cell-1", "a"), free)
    files.write(completion("cell-2", "a"), free)
    (path,) = run.dir.glob("completions/cell-1/*.jsonl")
    path.unlink()
    with pytest.raises(StoreError, match=r"completions/cell-1/.* can't be written"):
        files.write(completion("cell-1", "b"), free)
