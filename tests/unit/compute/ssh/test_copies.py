"""What is taken from a copy of a run, and that a copy which is not whole is known."""

from pathlib import Path

import pytest
from segment_rows import read_files, row, write_files

from trimtab.compute.ssh.copies import differing, merge, sums
from trimtab.core.errors import StoreError

HERE = {
    "config.json": "{}",
    "plan/0000.json": "first",
    "plan/SHA256SUMS": "a  0000.json\n",
    "completions/c/a0001-aa.jsonl": row("1") + row("2") + row("3"),
}
THERE = {
    **HERE,
    "completions/c/a0001-aa.jsonl": row("1"),  # as it was when it was copied there
    "completions/c/a1001-bb.jsonl": row("4") + row("5"),
    "scores/j/c/a1001-cc.jsonl": row("4"),
    "plan/0001.json": "second",
    "plan/SHA256SUMS": "a  0000.json\nb  0001.json\n",
    "artifacts/k/artifact.json": "done",
    "artifacts/k/adapter/weights.safetensors": "weights",
    "artifacts/k/state.pt": "moments",
    "claims/x/0001.jsonl": "mine",
    "ssh/state.json": "{}",
}


def test_results_are_taken_and_what_is_of_one_machine_is_not(tmp_path: Path) -> None:
    here, copy = write_files(tmp_path / "run", HERE), write_files(tmp_path / "copy", THERE)
    assert merge(copy, here, sums(copy)) == 7
    expected = {k: v for k, v in THERE.items() if not k.startswith(("claims", "ssh"))}
    assert read_files(here) == {
        **expected,
        "completions/c/a0001-aa.jsonl": row("1") + row("2") + row("3"),
    }
    assert merge(copy, here, sums(copy)) == 0, "nothing is new"


def test_what_grows_is_taken_as_far_as_it_was_verified(tmp_path: Path) -> None:
    here, copy = write_files(tmp_path / "run", HERE), write_files(tmp_path / "copy", THERE)
    expected = sums(copy)
    rows = copy / "completions/c/a1001-bb.jsonl"
    rows.write_text(row("4") + row("5") + row("6"))  # a row more since the host was asked
    assert differing(copy, expected) == []
    merge(copy, here, expected)
    taken = here / "completions/c/a1001-bb.jsonl"
    assert taken.read_text() == row("4") + row("5")
    merge(copy, here, sums(copy))
    assert taken.read_text() == row("4") + row("5") + row("6")


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.unlink(),
        lambda path: path.write_text("weighty"),
        lambda path: path.write_text("w"),
    ],
)
def test_a_file_that_is_lacking_short_or_changed_is_named(tmp_path: Path, damage) -> None:
    copy = write_files(tmp_path / "copy", THERE)
    expected = sums(copy)
    damage(copy / "artifacts/k/adapter/weights.safetensors")
    assert differing(copy, expected) == ["artifacts/k/adapter/weights.safetensors"]


def test_an_artifact_that_is_complete_here_stays_and_one_that_is_not_is_replaced(
    tmp_path: Path,
) -> None:
    copy = write_files(tmp_path / "copy", THERE)
    whole = write_files(tmp_path / "whole", {**HERE, "artifacts/k/artifact.json": "made here"})
    merge(copy, whole, sums(copy))
    assert not (whole / "artifacts/k/state.pt").exists()
    begun = write_files(tmp_path / "begun", {**HERE, "artifacts/k/state.pt": "older moments"})
    merge(copy, begun, sums(copy))
    assert (begun / "artifacts/k/state.pt").read_text() == "moments"


def test_plans_that_grew_differently_are_refused(tmp_path: Path) -> None:
    here = write_files(tmp_path / "run", {**HERE, "plan/0001.json": "another"})
    copy = write_files(tmp_path / "copy", THERE)
    with pytest.raises(StoreError, match="the plan grew differently"):
        merge(copy, here, sums(copy))


def test_a_host_is_given_all_but_what_is_of_this_machine(tmp_path: Path) -> None:
    run = write_files(
        tmp_path / "run", {**THERE, ".x.lock": "", "report/index.html": "", "a.pt": "1"}
    )
    given = sums(run, whole=True)
    assert "a.pt" in given and "config.json" in given and "artifacts/k/state.pt" in given
    assert not [name for name in given if name.startswith(("claims", "ssh", "report", "."))]
