"""Phases done by several attempts: which state each had, and what a reader is told."""

from pathlib import Path

import pytest

from trimtab.core.records import read_json, write_json
from trimtab.runs.store.attempts import open_attempt
from trimtab.runs.usage.meter import UsageMeter, usage_file
from trimtab.runs.usage.stages import differences, note_phase, stages


class Silent:
    """A progress that says nothing."""

    def start(self, phase: str, total: int, done: int) -> None:
        """Say nothing."""

    def advance(self, rows: int, tokens: int) -> None:
        """Say nothing."""

    def note(self, line: str) -> None:
        """Say nothing."""

    def finish(self) -> None:
        """Say nothing."""


@pytest.fixture
def attempt(tmp_path: Path):
    """Return a function that makes an attempt with phases, and another torch if asked."""

    def attempt(*phases: str, torch: str | None = None) -> Path:
        made = open_attempt(tmp_path, ["trimtab"])
        for phase in phases:
            note_phase(made.dir, phase)
        if torch is not None:
            state = read_json(made.dir / "manifest.json")
            packages = {**state["packages"], "torch": torch}
            write_json(made.dir / "manifest.json", {**state, "packages": packages}, sealed=True)
        return made.dir

    return attempt


def test_a_phase_under_one_state_is_one_stage_whoever_did_it(tmp_path, attempt):
    attempt("fit", "generate")
    attempt("score", "generate")
    attempt()
    found = [(s.phase, s.attempts) for s in stages(tmp_path)]
    assert found == [("fit", (1,)), ("generate", (1, 2)), ("score", (2,))]
    assert differences(stages(tmp_path)) == []


def test_other_code_or_libraries_are_told_with_the_phase_that_had_them(tmp_path, attempt):
    attempt("fit", torch="2.0")
    attempt("generate", torch="2.0")
    attempt("generate", torch="2.1")
    report = read_json(tmp_path / "attempts" / "0001" / "manifest.json")
    report = {**report, "packages": {}, "code": {**report["code"], "source": "other"}}
    done = stages(tmp_path, report)
    assert [s.name for s in done] == [
        "fit (attempt 1)", "generate (attempt 2)", "generate (attempt 3)", "report"
    ]  # fmt: skip
    later, reported = differences(done)
    assert later == (
        "generate (attempt 3) was not done under the code and environment of fit (attempt 1): "
        "torch 2.0 -> 2.1."
    )
    assert reported.startswith("report was not") and "trimtab's source" in reported
    assert "torch" not in reported, "a report needs no torch"


def test_what_begins_is_noted_at_once_and_only_if_something_is_owed(tmp_path):
    folder = open_attempt(tmp_path, ["trimtab"]).dir
    meter = UsageMeter(Silent(), 1, usage_file(tmp_path, 1))
    meter.start("fit", 3, 3)
    meter.start("score rubric", 5, 2)
    meter.start("score exact", 5, 2)
    # as if killed now: neither phase has a line of usage.jsonl
    assert read_json(folder / "manifest.json")["phases"] == ["score"]
    assert [s.phase for s in stages(tmp_path)] == ["score"]


def test_a_run_without_attempts_has_no_stages(tmp_path):
    assert stages(tmp_path) == [] == differences([])
    note_phase(tmp_path, "fit")
    assert list(tmp_path.iterdir()) == []
