"""A run counts as finished until any file that matters is added, removed or changed."""

import os
from pathlib import Path

import pytest

from trimtab.runs.store.finished import FINISHED, is_finished, mark


@pytest.fixture
def run(tmp_path: Path) -> Path:
    for name in (
        "plan/0000.json",
        "config.json",
        "completions/c/a0001-0.jsonl",
        "scores/j/c/a0001-0.jsonl",
        "artifacts/k/artifact.json",
        "summary.json",
        "report/index.html",
        "checks.json",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")
    return tmp_path


def test_nothing_is_finished_before_it_is_said(run: Path) -> None:
    assert not is_finished(run)
    mark(run)
    assert is_finished(run)
    (run / FINISHED).write_text("{")
    assert not is_finished(run)
    (run / FINISHED).unlink()
    os.mkfifo(run / FINISHED)
    assert not is_finished(run)


@pytest.mark.parametrize(
    "change",
    [
        lambda run: (run / "judges.json").write_text("[]"),
        lambda run: (run / "report/index.html").unlink(),
        lambda run: (run / "artifacts/k/artifact.json").unlink(),
        lambda run: (run / "scores/j/c/a0001-0.jsonl").write_text("{}\n"),
        lambda run: (run / "completions/c/a0002-1.jsonl").write_text(""),
        lambda run: os.utime(run / "completions/c/a0001-0.jsonl", ns=(1, 1)),
        lambda run: (
            (run / "completions/d").symlink_to("nowhere")
            or (run / "completions/c/b.jsonl").symlink_to("nowhere")
        ),
    ],
)
def test_a_change_is_seen(run: Path, change) -> None:
    mark(run)
    change(run)
    assert not is_finished(run)


def test_what_follows_from_the_rest_does_not_count(run: Path) -> None:
    mark(run)
    (run / "checks.json").write_text("{ }")
    (run / "attempts").mkdir()
    assert is_finished(run)
