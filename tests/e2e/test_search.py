"""A search through the command line: the same after kills, and a failed trial has no value."""

import json
import random
import re
from pathlib import Path
from typing import Any

import optuna
import postgres_server
import pytest
import yaml
from cli_process import Command, trimtab

from trimtab.compute.chaos.comparison import num_records, records
from trimtab.models.tiny import save_tiny
from trimtab.runs.store.run import Run


def experiment(model: Path) -> dict[str, Any]:
    """Return a search of seconds, in which trials are complete, pruned and failed."""
    return {
        "recipe": "gsm8k_search",
        "name": "tiny",
        "model": {"id": str(model), "device": "cpu"},
        "task": {
            "name": "arithmetic",
            "forms": ["sum"],
            "steps": 1,
            "count": 60,
            "fractions": {"fit": 0.2, "select": 0.5, "test": 0.3},
            "rendering": "raw",
            "shots": 1,
            "max_tokens": 6,
        },
        "limits": {"test": 6},
        "space": {
            "mean": {
                "name": "caa",
                "layer": {"low": 0, "high": 3},
                "strength": {"low": 0.1, "high": 2.0, "log": True, "signed": True},
            },
            # beyond float32: what it is added to is infinite
            "broken": {"name": "caa", "layer": 1, "strength": {"choices": [1e39, 2e39, 3e39]}},
        },
        "search": {
            "objective": "text_health.words",
            "pruner": "halving",
            "trials": 9,
            "parallel": 4,
            "startup": 4,
            "rungs": [3, 3],
            "top": 2,
        },
        "confirm": 0.4,
        "heldout": {"limit": 1},
        "random_draws": 1,
        "sensitivity": {"multiples": [0.5], "random_draws": 0},
    }


@pytest.fixture
def searched(tmp_path: Path, tiny_model: Path) -> Path:
    path = tmp_path / "search.yaml"
    path.write_text(yaml.safe_dump(experiment(tiny_model)))
    return path


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    """Return the run of a whole search that was shown in a database."""
    folder = tmp_path_factory.mktemp("whole")
    data = experiment(tiny_model)
    data["search"]["storage"] = "sqlite:///shown.db"
    (folder / "search.yaml").write_text(yaml.safe_dump(data))
    done = trimtab(["run", str(folder / "search.yaml"), "--out", str(folder / "run")], folder)
    assert done.code == 0, done.err
    return folder / "run"


def test_a_plan_says_what_it_may_come_to(searched: Path, tmp_path: Path) -> None:
    done = trimtab(["plan", str(searched)], tmp_path / "logs")
    assert done.code == 0, done.err
    said = "a plan that grows: up to 9 trials in batches of 4, 6 select problems each in 2 rungs"
    assert said in " ".join(done.out.split())


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("search.objective", "corect", "gives the metric 'corect'. Did you mean"),
        ("search.constraints", "{perplexty_ratio: 2}", "Did you mean 'perplexity_ratio'"),
        ("search.rungs", "[30]", "search.rungs want 30 problems"),
        ("space.mean.layer", "{low: 0, high: 9}", "space: mean.layer = 9: "),
        ("heldout", "null", "measured on held-out text, and `heldout` is null"),
    ],
)
def test_a_mistake_is_told_before_a_model_is_loaded(
    searched: Path, tmp_path: Path, key: str, value: str, says: str
) -> None:
    argv = ["run", str(searched), "--out", str(tmp_path / "out"), "-o", f"{key}={value}"]
    if key == "heldout":
        argv += ["-o", "search.constraints={perplexity_ratio: 2}"]
    done = trimtab(argv, tmp_path / "logs")
    assert done.code == 2 and says in " ".join(done.err.split()), done.err
    assert not (tmp_path / "out").exists()


def test_a_search_tells_what_it_tried_and_what_it_found(whole: Path) -> None:
    fragments = [json.loads(path.read_text()) for path in sorted(whole.glob("plan/0*.json"))]
    reasons = [fragment["reason"] for fragment in fragments]
    assert reasons[1].startswith("trials 2, 3, 4, 5 asked of tpe")
    assert "rung 2 of trial" in reasons[2]
    assert reasons[-2].startswith("confirm trial")
    assert reasons[-1].endswith("opens the test split")
    opened = [f["number"] for f in fragments if any(c["split"] == "test" for c in f["cells"])]
    assert opened == [fragments[-1]["number"]], "nothing before the winner opens the test split"

    content = json.loads((whole / "summary.json").read_text())["sections"]["search"]
    states = {trial["number"]: trial["state"] for trial in content["trials"]}
    assert len(states) == 9 and {"complete", "pruned", "failed"} <= set(states.values())
    for trial in content["trials"]:
        if trial["state"] == "pruned":
            assert "is not among the best" in trial["why"]
        if trial["state"] == "failed":
            assert trial["method"] == "broken" and "Non-finite" in trial["why"]
            assert trial["select"]["mean"] is None
        elif trial["number"] > 1:
            assert trial["method"] == "mean"
    best = max(
        (c for c in content["confirmed"] if c["number"] > 1), key=lambda c: c["confirm"]["mean"]
    )
    assert content["winner"] == best["number"] and best["test"]["mean"] is not None
    for compared in content["confirmed"]:  # the objective is no effect, and corrected all the same
        for change in filter(None, (compared["change"], compared["test_change"])):
            assert (change["p_holm"] is None) == (change["p"] is None), compared
    report = (whole / "report" / "report.md").read_text()
    assert "What the search found" in report and "Around the winner" in report
    assert (whole / "report" / "figures" / "search_history.png").is_file()
    (last,) = (f for f in fragments if any(c["split"] == "test" for c in f["cells"]))
    roles = {(c["condition"], c["role"]) for c in last["cells"] if c["split"] == "test"}
    assert {("winner", "treatment"), ("winner +0", "zero"), ("prompt", "control")} <= roles
    confirmed = {c["condition"] for c in last["cells"] if c["measure"] == "confirm"}
    assert "mean +0" in confirmed, "strengths around the winner are called by its method's name"


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_search_is_a_study_in_a_file_and_in_a_database(whole: Path, tmp_path: Path) -> None:
    logs, states = tmp_path / "logs", []
    for to in (tmp_path / "study.db", f"sqlite:///{tmp_path}/other.db", tmp_path / "study.log"):
        done = trimtab(["export", "study", str(whole), "--to", str(to)], logs)
        assert done.code == 0 and "optuna-dashboard" in done.out, done.err
    assert (tmp_path / "study.log").read_text() == (whole / "report/search/study.log").read_text()
    for file in (tmp_path / "study.db", tmp_path / "other.db", whole.parent / "shown.db"):
        study = optuna.load_study(study_name=None, storage=f"sqlite:///{file}")
        states.append([(t.state.name, t.values, t.params) for t in study.trials])
        assert study.user_attrs["winner"] == _results(whole)["winner"]
    assert states[0] == states[1] == states[2] and len(states[0]) == 9
    done = trimtab(["export", "study", str(whole), "--to", "postgres://x"], logs)
    assert done.code == 2 and "postgresql://" in done.err, done.err


def test_the_winner_is_measured_again_elsewhere(whole: Path, tmp_path: Path) -> None:
    """On the same model and task it is worth what the search said, to the last answer."""
    winner, logs, again = whole / "report/search/best_configuration.json", tmp_path, tmp_path / "a"
    done = trimtab(["run", "--from", str(winner), "--out", str(again)], logs)
    assert done.code == 0 and "the search found: Trial" in done.out, done.err
    found = [_values(run, "winner") for run in (whole, again)]
    assert found[0] == found[1] and len(found[0]) == 6
    assert _values(again, "winner +0") == _values(again, "baseline")
    summary = json.loads((again / "summary.json").read_text())
    labels = {condition["condition"] for condition in summary["conditions"]}
    assert {"baseline", "prompt", "winner", "winner +0"} <= labels

    other = tmp_path / "other"
    save_tiny(other, "gpt2")
    set_to = [
        "--model",
        str(other),
        "-o",
        "tasks.generation.count=40",
        "--out",
        str(tmp_path / "b"),
    ]
    done = trimtab(["plan", "--from", str(winner), *set_to], logs)
    assert done.code == 0, done.err
    assert json.loads((tmp_path / "b/config.json").read_text())["model"]["id"] == str(other)
    for argv in (["run"], ["run", str(winner), "--from", str(winner)], ["run", "--from", "none"]):
        done = trimtab([*argv, "--out", str(tmp_path / "c")], logs)
        assert done.code == 2 and done.err.count("\n") <= 2, done.err
    done = trimtab(["plan", str(whole / "config.json")], logs)
    assert done.code == 0, "the configuration of a run is an experiment file"


def _told(storage: Any) -> list[Any]:
    """Return all that a storage says of a study but for its times."""
    study = optuna.load_study(study_name=None, storage=storage)
    trials = [(t.state, t.values, t.params, t.user_attrs) for t in study.trials]
    return [study.user_attrs, study.metric_names, *trials]


def _results(run: Path) -> dict[str, Any]:
    return json.loads((run / "report" / "search" / "results.json").read_text())


def _values(run: Path, condition: str) -> dict[str, str]:
    """Return a condition's answers on the test split."""
    opened = Run.open(run)
    (cell,) = (
        cell
        for cell in opened.plan.cells
        if (cell.condition, cell.split, cell.output) == (condition, "test", "text")
    )
    return {row.sample_id: row.text for row in opened.completions(cell.key).values()}


@pytest.mark.campaign
def test_every_method_goes_through_a_search(repo: Path, tiny_model: Path, tmp_path: Path) -> None:
    config, out = repo / "configs" / "gsm8k_search" / "debug.yaml", tmp_path / "out"
    argv = ["run", str(config), "--out", str(out), "-o", f"model={tiny_model}"]
    done = trimtab([*argv, "-o", "search.trials=26"], tmp_path)
    assert done.code == 0, done.err
    trials = json.loads((out / "summary.json").read_text())["sections"]["search"]["trials"]
    methods = set(yaml.safe_load(config.read_text())["space"])
    assert {trial["method"] for trial in trials} == {"baseline", "prompt", *methods}
    assert {trial["state"] for trial in trials} == {"complete", "pruned"}


@pytest.mark.timeout(900)
@pytest.mark.parametrize("num_kills", [3, pytest.param(20, marks=pytest.mark.campaign)])
def test_a_search_goes_the_same_way_after_kills(
    num_kills: int, whole: Path, searched: Path, tmp_path: Path
) -> None:
    killed, logs = tmp_path / "killed", tmp_path / "logs"
    rng, total, kills = random.Random(num_kills), num_records(whole), 0
    for moment in sorted(rng.randint(1, total) for _ in range(num_kills)):
        made = (killed / "plan" / "0000.json").is_file()
        argv = ["resume", str(killed)] if made else ["run", str(searched), "--out", str(killed)]
        kills += Command(argv, logs).kill_when(lambda m=moment: num_records(killed) >= m)
    assert kills >= 0.8 * num_kills - 1, "too few kills hit a running process to show anything"
    done = trimtab(["resume", str(killed)], logs)
    assert done.code == 0, done.err
    assert_same_search(killed, whole)


def test_two_workers_search_as_one_does(whole: Path, searched: Path, tmp_path: Path) -> None:
    shared, logs = tmp_path / "shared", tmp_path / "logs"
    done = trimtab(["plan", str(searched), "--out", str(shared)], logs)
    assert done.code == 0, done.err
    workers = [Command(["work", str(shared)], logs) for _ in range(2)]
    ended = [worker.wait() for worker in workers]
    assert [worker.code for worker in ended] == [0, 0], [worker.err for worker in ended]
    assert_same_search(shared, whole)


def assert_same_search(run: Path, whole: Path) -> None:
    """Compare records, the trials table to the last byte, and the study but for its times."""
    assert records(run) == records(whole)
    table = "report/tables/trials_raw.csv"
    assert (run / table).read_bytes() == (whole / table).read_bytes()
    assert b",pruned," in (run / table).read_bytes()
    journals = [(path / "report/search/study.log").read_text() for path in (run, whole)]
    timeless = [re.sub(r'"datetime_\w+": "[^"]*"', "", text) for text in journals]
    assert timeless[0] == timeless[1] and timeless[0] != journals[0]


@pytest.mark.campaign
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.skipif(postgres_server.missing() is not None, reason=f"{postgres_server.missing()}")
def test_a_server_shows_a_search_that_was_killed_and_resumed(
    whole: Path, searched: Path, tmp_path: Path
) -> None:
    out, logs = tmp_path / "out", tmp_path / "logs"
    with postgres_server.server() as url:
        argv = ["run", str(searched), "--out", str(out), "-o", f"search.storage={url}"]
        assert Command(argv, logs).kill_when(lambda: (out / "plan" / "0003.json").is_file())
        storage = optuna.storages.RDBStorage(url)
        before = optuna.load_study(study_name=None, storage=storage).trials
        assert any(not trial.state.is_finished() for trial in before), "shown while it runs"
        resume = Command(["resume", str(out)], logs, prepare=postgres_server.know_the_password)
        done = resume.wait()
        assert done.code == 0 and "is not shown" not in done.out + done.err, done.err
        shown = _told(storage)
        storage.remove_session()
        storage.engine.dispose()
    assert shown == _told(f"sqlite:///{whole.parent / 'shown.db'}")
    files = [path for path in (*out.rglob("*"), *logs.rglob("*")) if path.is_file()]
    secret = postgres_server.PASSWORD.encode()
    assert len(files) > 20 and not [path for path in files if secret in path.read_bytes()]


def test_a_search_whose_trials_all_fail_ends_with_the_reason(
    searched: Path, tmp_path: Path
) -> None:
    data = yaml.safe_load(searched.read_text())
    data["space"].pop("mean")
    data["space"]["broken"]["strength"] = {"low": 1e39, "high": 3e39}
    data["search"] |= {"max_failures": 3, "trials": 20, "parallel": 2}
    searched.write_text(yaml.safe_dump(data))
    out = tmp_path / "out"
    hidden = "search.storage=postgresql://me:s3cret-word@127.0.0.1:9/studies"
    done = trimtab(["run", str(searched), "--out", str(out), "-o", hidden], tmp_path / "logs")
    assert done.code == 2, done.err
    files = [path for path in out.rglob("*") if path.is_file()]
    assert files and not [path for path in files if b"s3cret" in path.read_bytes()]
    assert "s3cret" not in done.out + done.err and "the search is not shown" in done.err + done.out
    assert "The search ends: 4 trials failed one after the other" in done.err
    assert "Traceback" not in done.err
    again = trimtab(["resume", str(out)], tmp_path / "logs")
    assert again.code == 2, "it ends for the same reason"
