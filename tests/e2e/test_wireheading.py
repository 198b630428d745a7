"""Three conditions of one cohort, from the first round to the report, on a tiny model."""

import json
from pathlib import Path

import yaml
from cli_process import trimtab

from trimtab.models.tiny import save_tiny

SMOKE = Path(__file__).parents[2] / "configs" / "wireheading" / "smoke.yaml"


def test_a_cohort_learns_side_by_side_and_answers_beside_the_base(
    tmp_path: Path, tiny_model: Path
) -> None:
    run, logs = tmp_path / "run", tmp_path / "logs"
    model = f"-omodel={{id: '{tiny_model}', device: cpu}}"
    on = "-otraining.direction={}"
    done = trimtab(["run", str(SMOKE), "--out", str(run), model, on], logs)
    assert done.code == 0, done.err
    summary = json.loads((run / "summary.json").read_text())
    assert [c["condition"] for c in summary["conditions"]] == [
        *("baseline", "control-0", "selfgrade-0", "honest-0")
    ]
    rounds = {
        path.parent.name: [json.loads(line) for line in path.read_text().splitlines()]
        for path in (run / "artifacts").rglob("steps.jsonl")
    }
    assert sorted(rounds) == ["control-0", "honest-0", "selfgrade-0"]
    for lines in rounds.values():
        looked = [line["step"] for line in lines if "watched" in line]
        assert (looked[0], looked[-1]) == (0, 2), "held-out items before and after"
        assert sum("loss" in line for line in lines) == 2, "a line for each update"
    drifts = summary["sections"]["wireheading"]["drifts"]
    assert {one["condition"] for one in drifts} <= {"control", "selfgrade", "honest"}
    assert (run / "report" / "figures" / "wireheading_projection.png").is_file() == bool(drifts)
    about = summary["sections"]["transfer"]["about"]
    graded = {(one["condition"], one["source"]) for one in about}
    assert graded == {
        (condition, source)
        for condition in ("baseline", "control", "selfgrade", "honest")
        for source in ("own", "base", "gold", "corrupted")
    }
    grown = json.loads((run / "plan" / "0001.json").read_text())
    assert not grown["fits"], "those adapters grade that wrote the answers"
    elsewhere = {c["condition"] for c in summary["conditions"]}
    kept = summary["measures"]["heldout"]["conditions"]
    assert set(kept) == elsewhere and {"nll_per_token", "kl"} <= kept["honest-0"]["metrics"].keys()
    again = trimtab(["resume", str(run)], logs)
    assert again.code == 0, again.err


def test_cohorts_of_two_workers_learn_what_one_cohort_does(
    tmp_path: Path, tiny_model: Path
) -> None:
    model = f"-omodel={{id: '{tiny_model}', device: cpu}}"
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    for run, more in ((whole, []), (cut, ["-otraining.cohort_size=2", "--workers", "2"])):
        argv = ["run", str(SMOKE), "--out", str(run), model, "-otransfer=false", *more]
        done = trimtab(argv, tmp_path / "logs")
        assert done.code == 0, done.err

    def episodes(run: Path) -> dict[str, list]:
        return {
            path.parent.name: [
                line.get("episodes") for line in map(json.loads, path.read_text().splitlines())
            ]
            for path in (run / "artifacts").rglob("steps.jsonl")
        }

    def written(rounds: list) -> list:
        return [
            [(e["item"], e["answer"]["text"], e["grade"]["text"], e["reward"]) for e in some or ()]
            for some in rounds
        ]

    alone, together = episodes(cut), episodes(whole)
    assert sorted(alone) == sorted(together) == ["control-0", "honest-0", "selfgrade-0"]
    for name, rounds in together.items():
        assert written(alone[name]) == written(rounds), name
    assert len(list((cut / "artifacts").rglob("cohort.json"))) == 2


def test_a_matrix_of_models_and_tasks_is_one_run_and_one_report(
    tmp_path: Path, tiny_model: Path
) -> None:
    other = save_tiny(tmp_path / "other", "gpt_neox", num_layers=1)
    sums = {"name": "arithmetic", "forms": ["sum"], "digits": 1, "steps": 1, "count": 40}
    common = {"rounds": 1, "answer_tokens": 3, "grade_tokens": 2, "evaluate": ["greedy"]}
    runs = {name: {"condition": name} for name in ("control", "selfgrade")}
    config = tmp_path / "matrix.yaml"
    matrix = {
        "recipe": "wireheading",
        "name": "matrix",
        "models": [{"id": str(path), "device": "cpu"} for path in (tiny_model, other)],
        "tasks": [{**sums, "limit": 3}, {"name": "imdb", "characters": 40, "limit": 3}],
        "grade_scales": {"imdb": "1-5"},
        "training": {"common": common, "runs": runs, "held_out": 2},
        "sampling": {"max_tokens": 4},
        "judges": [],
    }
    config.write_text(yaml.safe_dump(matrix))
    done = trimtab(["run", str(config), "--out", str(tmp_path / "run")], tmp_path / "logs")
    assert done.code == 0, done.err
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    outcomes = summary["sections"]["wireheading"]["outcomes"]
    assert [(o["model"], o["task"], o["condition"]) for o in outcomes] == [
        (str(model), task, condition)
        for model in (tiny_model, other)
        for task in ("arithmetic", "imdb")
        for condition in runs
    ]
    figures = {path.name for path in (tmp_path / "run" / "report" / "figures").iterdir()}
    assert {f"training_curves{n}.png" for n in ("", "_2", "_3", "_4")} <= figures
