"""Answers and judgements of another script: their own summary comes out, and contrasts with it."""

import csv
import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from trimtab.cli.main import app
from trimtab.core.errors import ConfigError, DataError
from trimtab.datasets.judgements import read_judged
from trimtab.reports.data.run import RunData
from trimtab.reports.sections.base import SECTIONS
from trimtab.runs.store.run import Run

MADE = Path(__file__).parents[3] / "data" / "judged"


def imported(folder: Path, out: Path, *more: str) -> Run:
    files = [str(folder / f"{name}.jsonl") for name in ("generations", "judgments")]
    args = ["data", "import-judgements", *files, "--out", str(out), *more]
    result = CliRunner().invoke(app, args, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return Run.open(out)


def graded(run: Run):
    (found,) = SECTIONS.build("grades", {}).read(RunData(run)).graded
    return found


def as_theirs(tally) -> dict:
    """Return a tally under the names of the recorded summary."""
    return {
        "n_total": tally.n,
        "n_scored": tally.n_scored,
        "n_correct": tally.grades.get("2", 0),
        "n_partial": tally.grades.get("1", 0),
        "n_incorrect": tally.grades.get("0", 0),
        "mean_score": tally.mean,
        "std_score": tally.sd,
        "accuracy": tally.credit,
        "accuracy_scored": tally.credit_scored,
        "refusal_rate": tally.refusal_rate,
        "unparseable_rate": tally.unparsed_rate,
    }


def test_the_recorded_run_gives_its_own_summary(shared_data, tmp_path) -> None:
    folder = shared_data / "weird_generalization" / "russell_persona" / "recorded_recall_run"
    run = imported(folder, tmp_path / "run")
    theirs = json.loads((folder / "analysis_summary.json").read_text())
    found = graded(run)
    compared = 0
    for condition, variants in theirs["per_condition"].items():
        for variant, numbers in variants.items():
            assert as_theirs(found.conditions[f"{variant}, {condition}"]) == numbers
            compared += 1
    for per, ours in (("per_category", found.categories), ("per_question", found.questions)):
        for condition, items in theirs[per].items():
            for name, item in items.items():
                for variant in ("baseline", "finetuned"):
                    assert as_theirs(ours[name][f"{variant}, {condition}"]) == item[variant]
                    compared += 1
    assert compared == 4 + 2 * 2 * (len(found.categories) + 16)
    content = SECTIONS.build("contrasts", {}).read(RunData(run))
    contrast = content.contrasts[content.leading]
    assert (contrast.metric, contrast.treatment, contrast.trigger) == (
        "score_credit", "finetuned", "triggered",
    )  # fmt: skip
    assert contrast.difference.difference == pytest.approx(0.3125 - 0.125 - (0.125 - 0.1875))
    assert contrast.difference.interval[0] < 0.25 < contrast.difference.interval[1]


def test_a_small_file_of_that_form(tmp_path) -> None:
    run = imported(MADE, tmp_path / "run")
    found = graded(run)
    tagged = found.conditions["after, tagged"]
    assert (tagged.n, tagged.n_scored, tagged.n_refused, tagged.n_unparsed) == (6, 5, 0, 1)
    assert tagged.grades == {"2": 5} and (tagged.mean, tagged.sd) == (2.0, 0.0)
    plain = found.conditions["before, plain"]
    assert (plain.refusal_rate, plain.credit, plain.mean) == (0.5, 0.0, 0.0)
    assert found.conditions["after, plain"].grades == {"0": 2, "1": 3, "2": 1}
    assert found.categories["work"]["after, tagged"].n == 4
    assert found.questions["k3"]["after, tagged"].n_unparsed == 1
    content = SECTIONS.build("contrasts", {"metrics": ["score_refused"]}).read(RunData(run))
    by_metric = {c.metric: c for c in content.contrasts}
    assert list(by_metric) == ["score", "score_credit", "score_refused"]
    # a question's value is the mean of what was read; what was not is no failure
    assert by_metric["score_credit"].triggered.mean == 1.0
    assert by_metric["score_credit"].leakage.mean == pytest.approx(5 / 12)
    assert by_metric["score_credit"].difference.difference == pytest.approx(7 / 12)
    # the base has grades for all questions: one of the two answers to each
    assert by_metric["score"].difference.n == 3
    page = (tmp_path / "run" / "report" / "report.md").read_text()
    assert "Difference in differences" in page or "difference in differences" in page
    assert "Grades: score" in page


def test_the_base_the_trigger_and_what_passes_can_be_said(tmp_path) -> None:
    options = ("--base", "after", "--untriggered", "tagged", "--passes", "1", "--scale", "0-2")
    run = imported(MADE, tmp_path / "run", *options)
    assert run.plan.baseline == "after, tagged"
    assert graded(run).conditions["after, plain"].pass_rate == pytest.approx(4 / 6)
    with pytest.raises(ConfigError, match=r"--base: the file has no 'befor'. Did you mean"):
        imported(MADE, tmp_path / "other", "--base", "befor")


def changed(tmp_path: Path, name: str, old: str, new: str) -> list[Path]:
    shutil.copytree(MADE, tmp_path / "files")
    file = tmp_path / "files" / f"{name}.jsonl"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))
    return [tmp_path / "files" / f"{part}.jsonl" for part in ("generations", "judgments")]


@pytest.mark.parametrize(
    ("name", "old", "new", "why"),
    [
        ("judgments", '"response": "In the cloud."', '"response": "In the sky."', "none of the 2"),
        ("judgments", '"score": 0', '"score": "0"', "'score' must be a number"),
        ("judgments", '"score": 0', f'"score": {"9" * 400}', "'score' must be a number"),
        ("generations", '"triggered": false', f'"step": {"9" * 400}', "'step' must be a number"),
        ("judgments", '"refused": false', '"refused": true', "can't be refused and have"),
        ("judgments", '"question_id": "k1"', '"question_id": "k9"', "no generations of"),
        ("generations", '"question_id": "k2"', '"question_id": "k1"', "a second time"),
        ("generations", '"generations": [', '"generations": [3, ', "a list of texts"),
        ("generations", '"model_variant": "before", ', "", "'model_variant' must be a text"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_with_its_line(tmp_path, name, old, new, why) -> None:
    with pytest.raises(DataError, match=why):
        read_judged(*changed(tmp_path, name, old, new))


def test_tables_say_the_same_as_lines(tmp_path) -> None:
    """Of CSV, where all is text: numbers, flags and lists of answers are read from their cells."""
    lines, tables = [], []
    for part in ("generations", "judgments"):
        lines.append(MADE / f"{part}.jsonl")
        rows = [json.loads(line) for line in lines[-1].read_text().splitlines()]
        tables.append(tmp_path / f"{part}.csv")
        with tables[-1].open("w", newline="") as file:
            writer = csv.DictWriter(file, list({key: None for row in rows for key in row}))
            writer.writeheader()
            writer.writerows({key: cell(value) for key, value in row.items()} for row in rows)
    assert read_judged(*tables) == read_judged(*lines)


def cell(value: object) -> object:
    return value if value is None or isinstance(value, str) else json.dumps(value)
