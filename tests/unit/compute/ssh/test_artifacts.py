"""What a run has of an artifact is what one copy had at one moment, and never an older one."""

import os
from pathlib import Path

import pytest
from segment_rows import read_files, write_files

from trimtab.compute.ssh.copies import merge, sums
from trimtab.core.errors import StoreError


def _training(step: int, log: str, folder: str = "artifacts/k/training") -> dict[str, str]:
    return {
        f"{folder}/steps.jsonl": log,
        f"{folder}/step-{step:06d}/state.json": "{}",
        f"{folder}/best-{step:06d}.safetensors": "",
    }


def test_a_training_that_is_further_takes_the_place_of_an_older_one(tmp_path: Path) -> None:
    here = write_files(tmp_path / "here", _training(5, "1 2 3 4 5 6 7"))
    copy = write_files(tmp_path / "copy", _training(10, "1-10"))
    assert merge(copy, here, sums(copy)) == 3
    assert read_files(here) == _training(10, "1-10")
    assert not list((here / "ssh").iterdir())


@pytest.mark.parametrize("step", [5, 10])
def test_one_that_is_no_further_leaves_all_as_it_is(tmp_path: Path, step: int) -> None:
    here = write_files(tmp_path / "here", _training(10, "1-10"))
    copy = write_files(tmp_path / "copy", _training(step, "1-5, and 6 that was lost"))
    assert merge(copy, here, sums(copy)) == 0
    assert read_files(here) == _training(10, "1-10")


def test_trainings_of_one_artifact_belong_together(tmp_path: Path) -> None:
    runs = ("artifacts/k/training/a", "artifacts/k/training/b")
    older = {**_training(9, "", runs[0]), **_training(3, "", runs[1])}
    newer = {**_training(9, "", runs[0]), **_training(4, "", runs[1])}
    here, copy = write_files(tmp_path / "here", older), write_files(tmp_path / "copy", newer)
    merge(copy, here, sums(copy))
    assert read_files(here) == newer


def test_an_artifact_that_is_complete_is_further_than_any_training(tmp_path: Path) -> None:
    whole = {"artifacts/k/artifact.json": "{}", "artifacts/k/tensors.safetensors": "1"}
    here = write_files(tmp_path / "here", _training(99, ""))
    copy = write_files(tmp_path / "copy", whole)
    merge(copy, here, sums(copy))
    assert read_files(here) == whole
    merge(write_files(tmp_path / "late", _training(100, "")), here, sums(tmp_path / "late"))
    assert read_files(here) == whole


@pytest.mark.parametrize("error", [OSError("no room"), KeyboardInterrupt()])
def test_an_artifact_that_was_moved_aside_comes_back_where_its_successor_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    here = write_files(tmp_path / "here", _training(5, "older"))
    copy = write_files(tmp_path / "copy", _training(10, "newer"))
    rename = os.rename

    def fails(old: Path, new: Path) -> None:
        if old.name.endswith(".tmp"):
            raise error
        rename(old, new)

    with monkeypatch.context() as patch, pytest.raises((StoreError, KeyboardInterrupt)):
        patch.setattr(os, "rename", fails)
        merge(copy, here, sums(copy))
    if isinstance(error, KeyboardInterrupt):
        merge(write_files(tmp_path / "none", {"attempts/0001/log.txt": ""}), here, {})
    assert read_files(here) == _training(5, "older")
    merge(copy, here, sums(copy))
    assert read_files(here) == _training(10, "newer")
