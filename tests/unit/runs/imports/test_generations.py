"""Answers from elsewhere: every row is found again, and nothing that is missing looks present."""

import json
from pathlib import Path

import pytest

from trimtab.cli.progress import make_progress
from trimtab.core.errors import ConfigError, DataError, StoreError
from trimtab.core.spec import Component
from trimtab.reports.page.write import write_report
from trimtab.runs.imports.generations import create_run, read_generations
from trimtab.runs.plan.judges import plan_judges
from trimtab.runs.store.run import Run
from trimtab.runs.work import checks
from trimtab.runs.work.phases import Job, run_phases
from trimtab.runs.work.score import owed

QUESTIONS = [f"What is {i}?" for i in range(12)]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    rows = [
        {"condition": condition, "question": q, "answer": f"{condition} says {q}"}
        for condition in ("plain", "steered")
        for q in QUESTIONS
    ]
    rows[3]["answer"] = None
    rows[5]["answer"] = ""
    rows[6] |= {"num_tokens": 9, "finish_reason": "length", "correct_answers": ["six"]}
    path = tmp_path / "old.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows) + "\n")
    return path


def make(file: Path, dir: Path) -> Run:
    return create_run(dir, "old", read_generations(file), "plain", {})


def test_a_run_holds_what_the_file_says_and_is_scored_and_reported(file, tmp_path) -> None:
    run = make(file, tmp_path / "run")
    plain, steered = run.plan.cells
    assert (plain.role, steered.role, run.plan.baseline) == ("baseline", "treatment", "plain")
    rows = {run.samples(plain.samples)[k[1]].metadata["question"]: r
            for k, r in run.completions(plain.key).items()}  # fmt: skip
    assert [rows[q].text for q in QUESTIONS[:3]] == [f"plain says {q}" for q in QUESTIONS[:3]]
    assert rows[QUESTIONS[3]].error and rows[QUESTIONS[5]].text == ""
    assert (rows[QUESTIONS[6]].num_tokens, rows[QUESTIONS[6]].finish_reason) == (9, "length")
    (judge,) = plan_judges(Component(name="text_health"), (plain.model, plain.model_identity))
    run.add_judge(judge)
    run_phases([Job(run, 1, make_progress())], ("score",))
    assert owed(run, judge) == 0
    summary = write_report(run, checks.read(run), run.dir).summary
    entry = summary["measures"]["generation"]["conditions"]["plain"]
    assert entry["counts"]["errors"] == 1 and entry["metrics"]["words"]["n"] == 11
    assert entry["metrics"]["tokens"]["n"] == 2, "unknown token counts are missing, not 0"
    assert entry["metrics"]["truncated"]["n"] == 1, "unknown endings are missing, not no"
    assert entry["counts"]["truncated"] is None
    assert (
        summary["measures"]["generation"]["conditions"]["steered"]["metrics"]["words"][
            "vs_baseline"
        ]["n"]
        == 11
    )


def test_a_second_import_adds_nothing_and_other_answers_are_refused(file, tmp_path) -> None:
    run = make(file, tmp_path / "run")
    files = sorted(p for p in run.dir.rglob("*") if p.is_file())
    assert sorted(p for p in make(file, run.dir).dir.rglob("*") if p.is_file()) == files
    file.write_text(file.read_text().replace("plain says", "plain shouts"))
    with pytest.raises(StoreError, match="another run"):
        make(file, run.dir)


def test_an_uneven_number_of_samples_is_filled_with_errors(tmp_path) -> None:
    path = tmp_path / "x.jsonl"
    rows = [{"question": "a", "answer": "1"}, {"question": "a", "answer": "2"},
            {"question": "b", "answer": "3"}]  # fmt: skip
    path.write_text("\n".join(map(json.dumps, rows)))
    run = create_run(tmp_path / "run", "x", read_generations(path), "baseline", {})
    (cell,) = run.plan.cells
    assert run.owed(cell) == []
    assert sum(row.error is not None for row in run.completions(cell.key).values()) == 1


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"question": "a"}', "'answer' must be a text or null"),
        ('{"question": "", "answer": "b"}', "'question' must be a text"),
        ('{"question": "a", "answer": "b", "finish_reason": "lenght"}', "length"),
        ('{"question": "a", "answer": "b", "num_tokens": "3"}', "num_tokens"),
        ("[1]", "must be an object"),
    ],
)
def test_a_malformed_row_is_named(line, said, tmp_path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text('{"question": "a", "answer": "b"}\n' + line + "\n")
    with pytest.raises(DataError, match=said) as caught:
        read_generations(path)
    assert "line 2" in str(caught.value)


def test_a_judge_that_wants_the_subject_is_refused(file, tmp_path) -> None:
    cell = make(file, tmp_path / "run").plan.cells[0]
    truth = Component(name="rubric", config={"rubric": "truth"})
    with pytest.raises(ConfigError, match="names no model"):
        plan_judges(truth, (cell.model, cell.model_identity))
