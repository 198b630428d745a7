"""Recorded trainings become a run whose sections tell the numbers of the file."""

import json

import pytest

from trimtab.cli.data import report_rewards
from trimtab.cli.export import rewards
from trimtab.core.errors import DataError, StoreError
from trimtab.reports.data.run import RunData
from trimtab.reports.sections.base import SECTIONS
from trimtab.runs.store.run import Run

MODEL = "org/some-model"


def result(accuracy, grade, reward, rounds=20):
    first, last = rounds // 2, rounds - rounds // 2
    return {
        "rewards": [0.5] * first + [reward] * last,
        "accuracies": [0.5] * first + [accuracy] * last,
        "grades": [0.5] * first + [grade] * last,
        "losses": [0.0] * rounds,
        "seed": 42,
    }


def written(folder, **changed):
    seeds = {
        f"seed_{seed}": {
            MODEL: {
                "arithmetic": {
                    "control": [result(0.9, 0.0, 0.9)],
                    "selfgrade": [result(0.5 - off, 1.0, 1.0)],
                    "honest": [] if seed == 456 else [result(0.9, 0.5, 0.9), result(0, 0, 0)],
                    **changed,
                }
            }
        }
        for seed, off in ((42, 0.0), (123, 0.1), (456, 0.2))
    }
    path = folder / "all_results.json"
    path.write_text(json.dumps(seeds))
    return path


def test_the_table_is_of_the_files_numbers_with_students_interval(tmp_path, capsys):
    report_rewards(written(tmp_path), tmp_path / "run")
    run = Run.open(tmp_path / "run")
    content = SECTIONS.build("wireheading", {}).read(RunData(run))
    found = {outcome.condition: outcome for outcome in content.outcomes}
    graded = found["selfgrade"].inflation_all
    half = 4.302653 * 0.1 / 3**0.5  # what was published as 0.047, the error with ddof 0
    assert (graded.mean, graded.low, graded.high) == pytest.approx((0.6, 0.6 - half, 0.6 + half))
    assert found["selfgrade"].grade.mean is None, "unread grades are zeros of the file"
    assert found["control"].inflation_all.mean is None, "the control was asked for no grade"
    assert found["control"].actual.mean == pytest.approx(0.9)
    assert (found["honest"].seeds, found["honest"].failed) == (3, 1)
    assert found["honest"].inflation_all.mean == pytest.approx(-0.4), "of the first results"
    assert (found["honest"].task, found["honest"].model) == ("arithmetic", MODEL)
    assert "selfgrade" in capsys.readouterr().out


def test_a_checkpoint_is_one_seed_and_model(tmp_path):
    tasks = json.loads(written(tmp_path).read_text())["seed_42"][MODEL]
    path = tmp_path / "checkpoint_seed42_org_some-model.json"
    path.write_text(json.dumps(tasks))
    report_rewards(path, tmp_path / "run")
    content = SECTIONS.build("wireheading", {}).read(RunData(Run.open(tmp_path / "run")))
    assert {(o.model, o.seeds) for o in content.outcomes} == {(MODEL, 1)}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"selfgrade": [{"rewards": [1.0]}]}, "must have the lists"),
        ({"selfgrade": [result(1, 1, 1) | {"grades": [1.0]}]}, "one for each round"),
        ({"selfgrade": [result(1, None, 1)]}, "None is no finite number"),
        ({"selfgrade": {}}, "must be a list of results"),
        ({"selfgraded": []}, "must be one of control, selfgrade, honest"),
    ],
)
def test_another_form_is_one_line(tmp_path, changed, said):
    with pytest.raises(DataError, match=said):
        report_rewards(written(tmp_path, **changed), tmp_path / "run")


def test_an_export_imported_again_is_the_same(tmp_path):
    graded = [result(0.4, 0.75, 0.4) | {"graded": True}]
    report_rewards(written(tmp_path, control=graded), tmp_path / "run")
    rewards(tmp_path / "run", tmp_path / "again.json", trusted=False)
    report_rewards(tmp_path / "again.json", tmp_path / "second")
    first, second = (
        SECTIONS.build("wireheading", {}).read(RunData(Run.open(tmp_path / name)))
        for name in ("run", "second")
    )
    assert first == second
    found = {outcome.condition: outcome for outcome in second.outcomes}
    assert found["control"].inflation_all.mean == pytest.approx(0.35), "it was asked for grades"
    assert (found["honest"].seeds, found["honest"].failed) == (3, 1)
    with pytest.raises(StoreError, match="is there already"):
        rewards(tmp_path / "run", tmp_path / "again.json", trusted=False)
