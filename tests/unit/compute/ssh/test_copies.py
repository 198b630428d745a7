"""What is taken from a copy of a run, and that a copy which is not whole is known."""

from pathlib import Path

import pytest

from trimtab.compute.ssh.copies import differing, merge, sums
from trimtab.core.errors import StoreError


def _write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def _read(root: Path) -> dict[str, str]:
    files = [path for path in root.rglob("*") if path.is_file()]
    return {str(path.relative_to(root)): path.read_text() for path in files}


HERE = {
    "config.json": "{}",
    "plan/0000.json": "first",
    "plan/SHA256SUMS": "a  0000.json\n",
    "completions/c/a0001-aa.jsonl": "1\n2\n3\n",
}
THERE = {
    **HERE,
    "completions/c/a0001-aa.jsonl": "1\n",  # as it was when it was copied there
    "completions/c/a1001-bb.jsonl": "4\n5\n",
    "scores/j/c/a1001-cc.jsonl": "6\n",
    "plan/0001.json": "second",
    "plan/SHA256SUMS": "a  0000.json\nb  0001.json\n",
    "artifacts/k/artifact.json": "done",
    "artifacts/k/adapter/weights.safetensors": "weights",
    "artifacts/k/state.pt": "moments",
    "claims/x/0001.jsonl": "mine",
    "ssh/state.json": "{}",
}


def test_results_are_taken_and_what_is_of_one_machine_is_not(tmp_path: Path) -> None:
    here, copy = _write(tmp_path / "run", HERE), _write(tmp_path / "copy", THERE)
    assert merge(copy, here, sums(copy)) == 7
    expected = {k: v for k, v in THERE.items() if not k.startswith(("claims", "ssh"))}
    assert _read(here) == {**expected, "completions/c/a0001-aa.jsonl": "1\n2\n3\n"}
    assert merge(copy, here, sums(copy)) == 0, "nothing is new"


def test_what_grows_is_taken_as_far_as_it_was_verified(tmp_path: Path) -> None:
    here, copy = _write(tmp_path / "run", HERE), _write(tmp_path / "copy", THERE)
    expected = sums(copy)
    rows = copy / "completions/c/a1001-bb.jsonl"
    rows.write_text("4\n5\n6\n")  # a row more since the host was asked
    assert differing(copy, expected) == []
    merge(copy, here, expected)
    taken = here / "completions/c/a1001-bb.jsonl"
    assert taken.read_text() == "4\n5\n"
    merge(copy, here, sums(copy))
    assert taken.read_text() == "4\n5\n6\n"


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.unlink(),
        lambda path: path.write_text("weighty"),
        lambda path: path.write_text("w"),
    ],
)
def test_a_file_that_is_lacking_short_or_changed_is_named(tmp_path: Path, damage) -> None:
    copy = _write(tmp_path / "copy", THERE)
    expected = sums(copy)
    damage(copy / "artifacts/k/adapter/weights.safetensors")
    assert differing(copy, expected) == ["artifacts/k/adapter/weights.safetensors"]


def test_an_artifact_that_is_complete_here_stays_and_one_that_is_not_is_replaced(
    tmp_path: Path,
) -> None:
    copy = _write(tmp_path / "copy", THERE)
    whole = _write(tmp_path / "whole", {**HERE, "artifacts/k/artifact.json": "made here"})
    merge(copy, whole, sums(copy))
    assert not (whole / "artifacts/k/state.pt").exists()
    begun = _write(tmp_path / "begun", {**HERE, "artifacts/k/state.pt": "older moments"})
    merge(copy, begun, sums(copy))
    assert (begun / "artifacts/k/state.pt").read_text() == "moments"


def test_plans_that_grew_differently_are_refused(tmp_path: Path) -> None:
    here = _write(tmp_path / "run", {**HERE, "plan/0001.json": "another"})
    copy = _write(tmp_path / "copy", THERE)
    with pytest.raises(StoreError, match="the plan grew differently"):
        merge(copy, here, sums(copy))


def test_a_host_is_given_all_but_what_is_of_this_machine(tmp_path: Path) -> None:
    run = _write(tmp_path / "run", {**THERE, ".x.lock": "", "report/index.html": "", "a.pt": "1"})
    given = sums(run, whole=True)
    assert "a.pt" in given and "config.json" in given and "artifacts/k/state.pt" in given
    assert not [name for name in given if name.startswith(("claims", "ssh", "report", "."))]
