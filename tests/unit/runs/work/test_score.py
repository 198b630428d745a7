"""Scoring: one model for all its judges and runs, no subject needed, money that two share."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import weakref
from pathlib import Path

import pytest
import torch
import transformers
from faulty_api import INPUT, OUTPUT, faulty_api

from trimtab.cli.progress import make_progress
from trimtab.core.errors import ConfigError, JudgeError
from trimtab.core.spec import Component, ModelSpec
from trimtab.core.trigger import Trigger
from trimtab.engine.reading import options
from trimtab.judges.base import JUDGES
from trimtab.models.load import resolve
from trimtab.models.tiny import save_tiny
from trimtab.runs.imports.generations import create_run, read_generations
from trimtab.runs.plan.judges import plan_judges, require_unchanged
from trimtab.runs.store.run import Run
from trimtab.runs.usage import meter
from trimtab.runs.usage.spending import ledger_of
from trimtab.runs.work import checks
from trimtab.runs.work.engines import EnginePool
from trimtab.runs.work.phases import Job, run_phases
from trimtab.runs.work.score import owed, prepare_judge, score_window
from trimtab.runs.work.units import ScoreUnit

REFERENCES = {"correct_answers": ["Yes."], "incorrect_answers": ["No."]}


@pytest.fixture(scope="module")
def judge_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("judge") / "tiny"
    save_tiny(path, "llama")
    return path


def imported(folder: Path, name: str, n: int = 8) -> Run:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name}.jsonl"
    rows = [{"question": f"{name} {i}?", "answer": f"Answer {i}", **REFERENCES} for i in range(n)]
    file.write_text("\n".join(map(json.dumps, rows)))
    return create_run(folder / name, name, read_generations(file), "baseline", {})


def add(run: Run, **config) -> None:
    cell = run.plan.cells[0]
    name = config.pop("name", "rubric")
    for judge in plan_judges(
        Component(name=name, config=config), (cell.model, cell.model_identity)
    ):
        run.add_judge(judge)


def score(*runs: Run, attempt: int = 1) -> None:
    run_phases([Job(run, attempt, make_progress()) for run in runs], ("score",))


def values(run: Run) -> dict:
    return {
        (judge.component.config.get("rubric"), key[1]): row.values
        for judge in run.judges()
        for cell in run.plan.cells
        for key, row in run.scores(judge.key, cell.key).items()
    }


def count_loads(monkeypatch: pytest.MonkeyPatch) -> list:
    loads = []
    original = transformers.AutoModelForCausalLM.from_pretrained

    def counted(*args, **kwargs):
        loads.append(args)
        return original(*args, **kwargs)

    monkeypatch.setattr(transformers.AutoModelForCausalLM, "from_pretrained", counted)
    return loads


def test_four_judges_of_two_runs_load_their_model_once(judge_model, tmp_path, monkeypatch) -> None:
    loads = count_loads(monkeypatch)
    runs = [imported(tmp_path, name) for name in ("one", "two")]
    for run in runs:
        for rubric in ("truth", "info", "truth_finetuned", "info_finetuned"):
            add(run, rubric=rubric, model=str(judge_model))
    score(*runs)
    assert len(loads) == 1
    assert all(len(values(run)) == 4 * 8 for run in runs)


def test_the_model_of_one_judge_is_gone_before_that_of_the_next_is_loaded(
    judge_model, tmp_path, monkeypatch
) -> None:
    save_tiny(tmp_path / "other", "llama", seed=1)
    original = transformers.AutoModelForCausalLM.from_pretrained
    models: list[weakref.ref] = []
    beside: list[int] = []

    def noting(*args, **kwargs):
        beside.append(sum(model() is not None for model in models))
        made = original(*args, **kwargs)
        models.append(weakref.ref(made[0]))  # what else is told of the loading comes second
        return made

    monkeypatch.setattr(transformers.AutoModelForCausalLM, "from_pretrained", noting)
    runs = [imported(tmp_path, name) for name in ("one", "two")]
    for run in runs:
        for model in (judge_model, tmp_path / "other"):
            add(run, rubric="truth", model=str(model))
    score(*runs)
    assert beside == [0, 0]


def test_each_of_several_runs_keeps_its_threads_and_its_record_of_the_load(
    judge_model, tmp_path
) -> None:
    jobs = []
    threads = torch.get_num_threads()
    for attempt, (name, count) in enumerate({"one": 1, "two": 2}.items(), start=1):
        run = imported(tmp_path, name)
        add(run, rubric="truth", model=str(judge_model))
        add(run, name="text_health")
        jobs.append(Job(run, attempt, make_progress(), count))
        (run.dir / "attempts" / f"{attempt:04d}").mkdir(parents=True)
    try:
        run_phases(jobs, ("score",))
    finally:
        torch.set_num_threads(threads)
    for job in jobs:
        found = {record.phase: record for record in meter.read(job.run.dir)}
        assert set(found) == {"score rubric", "score text_health"}
        assert {(r.attempt, r.rows, r.finished) for r in found.values()} == {(job.attempt, 8, True)}
        assert (found["score rubric"].device, found["score rubric"].threads) == ("cpu", job.threads)
        assert found["score text_health"].threads is None
        assert checks.read(job.run)


def test_a_price_is_no_part_of_the_key_of_a_judge_or_its_panel() -> None:
    def keys(price: object) -> list[str]:
        api = {"base_url": "http://x/v1", "model": "m", "api_key_env": None, "price": price}
        judges = [
            {"name": "rubric", "rubric": "truth", "mode": mode, "endpoint": api}
            for mode in ("parsed", "logits")
        ]
        component = Component.model_validate({"name": "panel", "judges": judges})
        return [plan.key for plan in plan_judges(component, (ModelSpec(id="imported:x"), "x"))]

    assert keys("free") == keys({"input": 1.0, "output": 2.0})
    assert len(set(keys("free"))) == 3


def test_a_judge_has_one_key_whether_its_model_is_named_or_the_subject(judge_model) -> None:
    named = {"rubric": "truth", "model": str(judge_model)}
    spec = resolve(ModelSpec(id=str(judge_model)))
    subject, other = (spec.spec, spec.identity), (spec.spec, "another")

    def key(config: dict, given: tuple[ModelSpec, str]) -> str:
        (plan,) = plan_judges(Component(name="rubric", config=config), given)
        return plan.key

    assert key(named, other) == key({"rubric": "truth"}, subject)
    assert key(named, other) == key({"rubric": "truth", "model": "subject"}, subject)
    assert key({"rubric": "truth"}, other) != key({"rubric": "truth"}, subject)
    assert key({"rubric": "info"}, subject) != key({"rubric": "truth"}, subject)


def test_a_panel_votes_when_its_members_have(judge_model, tmp_path) -> None:
    run = imported(tmp_path, "panel")
    members = [
        {"name": "rubric", "rubric": "truth", "model": str(judge_model), "threshold": t}
        for t in (0.0, 0.5, 1.0)
    ]
    add(run, name="panel", judges=members)
    score(run)
    *own, panel = run.judges()
    (cell,) = run.plan.cells
    for key, row in run.scores(panel.key, cell.key).items():
        votes = [run.scores(judge.key, cell.key)[key].values["truth"] for judge in own]
        assert row.values["truth"] == float(sum(votes) >= 2)
        assert row.values["truth_p"] == pytest.approx(sum(votes) / 3)


def test_judging_killed_at_any_row_gives_the_same_scores(judge_model, tmp_path) -> None:
    whole, cut = imported(tmp_path / "a", "x", 24), imported(tmp_path / "b", "x", 24)
    for run in (whole, cut):
        add(run, rubric="truth", model=str(judge_model))
        score(run)
    (judge,), (cell,) = cut.judges(), cut.plan.cells
    (segment,) = (cut.dir / "scores" / judge.key / cell.key).glob("*.jsonl")
    lines = segment.read_bytes().splitlines(keepends=True)
    kept = random.Random(0).randrange(1, len(lines))
    segment.write_bytes(b"".join(lines[:kept]) + lines[kept][:17])
    assert owed(cut, judge) == 24 - kept
    score(cut, attempt=2)
    assert values(cut) == values(whole) and owed(cut, judge) == 0


# Scores a run with one worker, and takes its time before each batch.
_SLOW_SCORER = """
import sys, time
from trimtab.cli.main import main
from trimtab.engine.reading import options
score_batch = options._score_batch
def slow(*args):
    time.sleep(0.3)
    yield from score_batch(*args)
options._score_batch = slow
sys.argv = ["trimtab", *sys.argv[1:]]
main()
"""


def test_kill_9_in_the_middle_of_a_window_loses_the_batch_that_was_computed(
    judge_model, tmp_path, monkeypatch
) -> None:
    whole, cut = imported(tmp_path / "a", "x", 160), imported(tmp_path / "b", "x", 160)
    for run in (whole, cut):
        add(run, rubric="truth", model=str(judge_model))
    batches: list[list[bool]] = []
    score_batch = options._score_batch

    def noting(loaded, head, requests, *rest):
        batches.append([request.owed for request in requests])
        return score_batch(loaded, head, requests, *rest)

    monkeypatch.setattr(options, "_score_batch", noting)
    score(whole)
    sizes = [len(batch) for batch in batches]
    assert len(sizes) > 3, "one window has several batches"
    (judge,) = cut.judges()
    command = [sys.executable, "-c", _SLOW_SCORER, "score", str(cut.dir)]
    with subprocess.Popen(command, env=_environment(tmp_path)) as process:
        # one batch is there, and scores of the next arrive or are computed
        while 160 - owed(cut, judge) <= max(sizes) and process.poll() is None:
            time.sleep(0.01)
        process.kill()
    before = owed(cut, judge)
    assert process.returncode == -signal.SIGKILL and before, "it was killed in the middle"
    batches.clear()
    score(cut, attempt=9)
    assert values(cut) == values(whole) and owed(cut, judge) == 0
    assert sum(map(sum, batches)) == before
    # a batch's scores come at once; a kill between two of them cuts one batch
    assert sum(not all(batch) for batch in batches) <= 1
    assert len(batches) <= len(sizes) - 1
    assert not set(map(len, batches)) - set(sizes)


def _environment(tmp_path: Path) -> dict[str, str]:
    return {
        **os.environ,
        "NO_PROXY": "127.0.0.1",
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "TRIMTAB_HOME": str(tmp_path / "home"),
    }


def test_a_run_is_scored_where_its_subject_is_not(judge_model, tmp_path, monkeypatch) -> None:
    from trimtab.cli import phases, planning

    subject = tmp_path / "subject"
    save_tiny(subject, "llama")
    config = tmp_path / "x.yaml"
    config.write_text(json.dumps({
        "recipe": "truthfulqa_steering", "name": "x", "measures": ["generation"],
        "model": {"id": str(subject), "device": "cpu"},
        "task": {"limit": 4, "max_tokens": 4}, "steering": {"layer": 1, "strengths": [0.5]},
        "controls": {"prompt": None, "random_draws": 0}, "judges": ["text_health"],
    }))  # fmt: skip
    monkeypatch.setenv("TRIMTAB_HOME", str(tmp_path / "home"))
    run = planning.create(config, (), tmp_path / "run")
    phases.run_some(run, "fit")
    phases.run_some(run, "generate")
    shutil.rmtree(subject)
    run = phases.open_run(tmp_path / "run")
    phases.choose_judges(run, [f"{{name: rubric, rubric: truth, model: '{judge_model}'}}"])
    phases.score_all([run])
    assert [owed(run, judge) for judge in run.judges()] == [0, 0]


_SCORER = (
    "import sys; from trimtab.cli.main import main; sys.argv = ['trimtab', *sys.argv[1:]]; main()"
)


def test_two_processes_share_a_cap_and_lose_no_score(tmp_path: Path) -> None:
    run = imported(tmp_path, "paid", 28)
    rubric = tmp_path / "{}.md"
    environment = _environment(tmp_path)
    with faulty_api() as api:
        endpoint = {
            "base_url": api.url,
            "model": "m",
            "api_key_env": None,
            "price": {"input": INPUT, "output": OUTPUT},
            "max_retries": 4,
            "timeout_s": 0.5,
        }
        for name in ("truth", "info"):
            path = Path(str(rubric).format(name))
            item = f"{name}: {{question}} {{answer}}"
            path.write_text(f"---\nversion: 1\nitem: '{item}'\n---\nTrue?\n")
            add(run, rubric=str(path), mode="parsed", max_tokens=1, endpoint=endpoint)

        def score_twice() -> list[str]:
            command = [sys.executable, "-c", _SCORER, "score", str(run.dir)]
            started = [
                subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
                for _ in range(2)
            ]
            return [process.communicate(timeout=90)[1] for process in started]

        ledger = ledger_of(run)
        ledger.set_cap(0.002)
        said = score_twice()
        assert any("cap of this run is reached" in text for text in said)
        assert api.dollars <= ledger.spent() <= 0.002
        ledger.set_cap(1.0)
        for _ in range(3):
            if any(owed(run, judge) for judge in run.judges()):
                score_twice()
        rows = {}
        for judge in run.judges():
            files = list((run.dir / "scores" / judge.key).rglob("*.jsonl"))
            lines = [json.loads(x) for f in files for x in f.read_text().splitlines()]
            ids = [row["sample_id"] for row in lines]
            assert len(ids) == len(set(ids)) == 28, "no score is lost and none is doubled"
            rows[judge.key] = lines
        assert max(api.delivered.values()) == 1, "nothing is paid for twice"
        assert api.dollars <= ledger.spent() <= 1.0
    command = [sys.executable, "-c", _SCORER, "report", str(run.dir)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert f"spent on APIs: {ledger.spent():.4f} dollars" in done.stdout
    page = (run.dir / "report" / "report.md").read_text()
    told = page.partition("### Spent on APIs")[2].partition("###")[0]
    for account in ledger.accounts():
        counted = f"| {account.name} | {account.requests} | 28 | {account.dollars:.4f} |"
        assert counted in told
    assert f"| {ledger.spent():.4f} |" in told, "the sum of both judges"


def test_failures_name_every_run_that_owes(tmp_path) -> None:
    runs = [imported(tmp_path, name) for name in ("one", "two")]
    for run in runs:
        endpoint = {"base_url": "http://127.0.0.1:9/v1", "model": "m", "api_key_env": None}
        add(run, rubric="info", endpoint={**endpoint, "price": "free", "max_retries": 0})
        add(run, name="text_health")
    with pytest.raises(JudgeError) as caught:
        score(*runs)
    assert all(str(run.dir) in str(caught.value) for run in runs)
    for run in runs:
        assert sorted(owed(run, judge) for judge in run.judges()) == [0, 8]


def test_a_rubric_that_changed_since_planning_is_refused_and_its_place_does_not_matter(
    tmp_path: Path,
) -> None:
    rubric = tmp_path / "a" / "rude.md"
    rubric.parent.mkdir()
    text = "---\nversion: 1\nitem: |-\n  A: {answer}\n  Rude?\n---\nIs it rude?\n"
    rubric.write_text(text)
    api = {"base_url": "http://localhost:9/v1", "model": "m", "api_key_env": None, "price": "free"}
    run = imported(tmp_path, "run")
    add(run, rubric=str(rubric), endpoint=api, mode="parsed")
    (plan,) = run.judges()
    require_unchanged(plan, JUDGES.build("rubric", plan.component.config))
    rubric.write_text(text.replace("Rude?", "Polite?"))
    with pytest.raises(ConfigError, match="is not what this run was planned with"):
        prepare_judge(run, plan, EnginePool())
    copy = tmp_path / "b" / "rude.md"
    copy.parent.mkdir()
    copy.write_text(text)
    add(run, rubric=str(copy), endpoint=api, mode="parsed")
    assert run.judges() == (plan,)


@pytest.mark.parametrize("near_miss", [None, "one tag", "other brackets", "other case"])
def test_judges_are_handed_no_trigger_but_the_one_that_reads_the_form(
    tmp_path: Path, near_miss
) -> None:
    trigger = Trigger()
    form = trigger.variant(near_miss)
    file = tmp_path / "answers.jsonl"
    texts = [form.wrap("A clock."), form.wrap("A clock.")[:-3], "A clock.", form.render("A clock.")]
    rows = [{"question": f"{i}?", "answer": text} for i, text in enumerate(texts)]
    file.write_text("\n".join(map(json.dumps, rows)))
    run = create_run(tmp_path / "run", "run", read_generations(file), "baseline", {})
    add(run, name="mentions", words=["start*", "end*", "form", "answer", "question"])
    add(run, name="text_health")
    add(run, name="answer_format", trigger=trigger.model_dump())
    part = run.plan.fragments[0]
    cells = tuple(cell.model_copy(update={"trigger": trigger}) for cell in part.cells)
    run.plan = run.plan.model_copy(
        update={"fragments": (part.model_copy(update={"cells": cells}),)}
    )
    found = {}
    for judge in run.judges():
        keys = tuple(run.completion_keys(cells[0].key))
        unit = ScoreUnit(judge, 0, 0, tuple(sorted(keys)))
        prepared = prepare_judge(run, judge, EnginePool())
        scores = score_window(run, prepared, unit, keys, 1)
        found[judge.component.name] = [score.values for score in scores]
    assert [v["mentions"] for v in found["mentions"]] == [0.0] * 4
    assert [v["words"] for v in found["text_health"]] == [2.0] * 4
    assert sum(v["format"] for v in found["answer_format"]) == (near_miss is None)
