"""Answers of another script, judges that people check, and reports that say so: as commands."""

import json
import random
from pathlib import Path

import pytest
from cli_process import trimtab

QUESTIONS = [f"What is {i} plus {i}?" for i in range(12)]


@pytest.fixture
def answers(tmp_path: Path) -> Path:
    rows = [
        {
            "condition": condition,
            "question": question,
            "answer": f"{condition}: {2 * i + wrong}.",
            "correct_answers": [f"{2 * i}."],
            "incorrect_answers": [f"{2 * i + 1}."],
        }
        for condition, wrong in (("before", 1), ("after", 0))
        for i, question in enumerate(QUESTIONS)
    ]
    path = tmp_path / "old.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    rng = random.Random(0)
    rows = []
    for i in range(40):
        label = rng.random() < 0.5
        said = f"It is {2 * i if label else 2 * i + 1}. I am {'quite ' * rng.randrange(5)}sure."
        rows.append({"question": f"What is {i} plus {i}?", "answer": said, "label": label,
                     "correct_answers": [f"{2 * i}."]})  # fmt: skip
    path = tmp_path / "labels.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


def test_old_answers_are_imported_scored_checked_and_reported(
    answers: Path, labels: Path, tiny_model: Path, tmp_path: Path
) -> None:
    run, logs = tmp_path / "run", tmp_path / "logs"
    truth = f"{{name: rubric, rubric: truth, model: {tiny_model}}}"

    def say(*argv: str) -> str:
        done = trimtab(list(argv), logs)
        assert done.code == 0, done.err
        return done.out

    assert "12 answers" in say("data", "import-generations", str(answers), "--out", str(run))
    assert "speed: " in say("score", str(run), "--judge", truth, "--judge", "text_health")
    said = say("judge-check", str(labels), "--run", str(run))
    assert "sensitivity" in said and "judge: " in said
    say("report", str(run))
    summary = json.loads((run / "summary.json").read_text())
    (check,) = summary["sections"]["judging"]["checks"]
    assert (check["n"], check["metric"]) == (40, "truth")
    entry = summary["measures"]["generation"]["conditions"]["after"]["metrics"]
    assert summary["sections"]["judging"]["corrected"]["generation"]["after"]["truth"]
    assert entry["words"]["vs_baseline"]["n"] == 12
    report = (run / "report" / "report.md").read_text()
    for title in ("Judges against people", "Corrected for the judge's mistakes"):
        assert title in report
    assert "nothing drawn" not in report and "### Vectors" not in report
    # nothing is left to do, and the model that gave the answers is not looked for
    before = [path.read_bytes() for path in sorted(run.glob("scores/**/*.jsonl"))]
    say("resume", str(run))
    assert [path.read_bytes() for path in sorted(run.glob("scores/**/*.jsonl"))] == before
    assert (run / "summary.json").read_text() == json.dumps(
        summary, indent=1, sort_keys=True, ensure_ascii=False
    ) + "\n"


def test_several_runs_are_scored_by_one_command(answers: Path, tiny_model, tmp_path: Path) -> None:
    runs = [tmp_path / name for name in ("one", "two")]
    for run in runs:
        done = trimtab(
            ["data", "import-generations", str(answers), "--out", str(run)], tmp_path / "logs"
        )
        assert done.code == 0, done.err
    panel = (
        f"{{name: panel, judges: [{{name: rubric, rubric: truth, model: {tiny_model}}}, "
        f"{{name: rubric, rubric: truth_finetuned, model: {tiny_model}}}]}}"
    )
    done = trimtab(["score", *map(str, runs), "--judge", panel], tmp_path / "logs")
    assert done.code == 0, done.err
    keys = [sorted(path.name for path in (run / "scores").iterdir()) for run in runs]
    assert keys[0] == keys[1] and len(keys[0]) == 3
    for run in runs:
        phases = [
            json.loads(line)["phase"]
            for path in run.glob("attempts/*/usage.jsonl")
            for line in path.read_text().splitlines()
        ]
        assert sorted(phases) == ["score panel", "score rubric", "score rubric"]
