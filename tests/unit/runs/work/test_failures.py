"""A judge that has no answer to some items scores the others; one that is down scores nothing."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from loopback_api import Answer, loopback, reply

from trimtab.core.errors import JudgeError, JudgeMemoryError
from trimtab.core.plan import JudgePlan
from trimtab.core.spec import Component, ModelSpec
from trimtab.runs.imports.generations import create_run, read_generations
from trimtab.runs.plan.judges import plan_judges
from trimtab.runs.store.run import Run
from trimtab.runs.usage.progress import Silent
from trimtab.runs.work.engines import EnginePool
from trimtab.runs.work.loop import work
from trimtab.runs.work.phases import Job, run_phases
from trimtab.runs.work.score import owed
from trimtab.runs.work.single import UnitWorker
from trimtab.runs.work.state import State
from trimtab.runs.work.units import units
from trimtab.runs.work.worker import Worker


def test_a_judge_without_some_answers_owes_that_window_alone(members, make, text_cell, probe):
    judge: JudgePlan = probe()
    run = make("run", text_cell("one"), text_cell("two"), judges=(judge,))
    (members / "probe.order").write_text("order.unlink(); raise UnansweredError('it is down')")
    with Worker(run, 1, Silent()) as worker, pytest.raises(JudgeError, match="it is down"):
        work([worker], EnginePool(), ("score",))
    assert owed(run, judge) == 2, "a window of two of six rows"
    with Worker(run, 2, Silent()) as worker:
        work([worker], EnginePool(), ("score",))
    assert owed(run, judge) == 0


@pytest.mark.parametrize(
    "error",
    ["MemoryError('no room')", 'RuntimeError("DefaultCPUAllocator: can\'t allocate memory")'],
)
def test_memory_that_is_short_for_a_judge_is_told_as_such_and_others_score(
    members, make, text_cell, probe, error
):
    bad, good = probe("bad"), probe("good")
    run = make("run", text_cell("one"), judges=(bad, good))
    (members / "bad.order").write_text(f"raise {error}")
    with Worker(run, 1, Silent()) as worker, pytest.raises(JudgeMemoryError) as caught:
        work([worker], EnginePool(), ("score",))
    assert caught.value.exit_code == 9 and "Memory was short" in str(caught.value)
    assert (owed(run, bad), owed(run, good)) == (3, 0)
    (unit, *_) = [unit for unit in units(run, ("score",)) if State(run).owed(unit)]
    with UnitWorker(Job(run, 2, Silent())) as one, pytest.raises(JudgeMemoryError):
        one.do(unit.name)  # who hands out units learns why


@pytest.fixture
def judged(tmp_path: Path, monkeypatch) -> Iterator[Callable[..., Run]]:
    """Return a maker of a run of twelve answers, with a judge behind an API and one without."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with ExitStack() as servers:

        def make(respond: Callable[[str, int], Answer]) -> Run:
            url, _ = servers.enter_context(loopback(respond))
            file = tmp_path / "answers.jsonl"
            rows = [{"question": f"Is it {i}?", "answer": f"Answer {i}"} for i in range(12)]
            file.write_text("\n".join(map(json.dumps, rows)))
            run = create_run(tmp_path / "run", "run", read_generations(file), "baseline", {})
            api = {"base_url": url, "model": "m", "api_key_env": None, "price": "free"}
            rubric = {"rubric": "info", "mode": "parsed", "endpoint": {**api, "max_retries": 1}}
            for name, config in (("rubric", rubric), ("text_health", {})):
                component = Component(name=name, config=config)
                for judge in plan_judges(component, (ModelSpec(id="imported:x"), "x")):
                    run.add_judge(judge)
            return run

        yield make


def scores(run: Run) -> dict[str, list]:
    (cell,) = run.plan.cells
    found = {j.component.name: run.scores(j.key, cell.key) for j in run.judges()}
    return {name: [row.values for row in rows.values()] for name, rows in found.items()}


def test_an_outage_writes_nothing_of_its_judge_and_stops_no_other(judged) -> None:
    down = True
    over = {"error": {"message": "Provider returned error", "code": 429}}

    def respond(content: str, earlier: int) -> Answer:
        return (200, {"Retry-After": "0"}, json.dumps(over)) if down else reply("- Yes")

    run = judged(respond)
    with pytest.raises(JudgeError, match=r"prompts in a row have no answer.*Provider") as caught:
        run_phases([Job(run, 1, Silent())], ("score",))
    assert caught.value.exit_code == 7 and "\n" not in str(caught.value)
    assert scores(run)["rubric"] == [] and len(scores(run)["text_health"]) == 12
    down = False
    run_phases([Job(run, 2, Silent())], ("score",))
    assert scores(run)["rubric"] == [{"info": 1.0}] * 12


def test_prompts_that_stay_without_an_answer_are_owed_and_the_others_scored(judged) -> None:
    def respond(content: str, earlier: int) -> Answer:
        bad = "Is it 3?" in content or "Is it 7?" in content
        return (200, {"Retry-After": "0"}, '{"choices": []}') if bad else reply("no")

    run = judged(respond)
    with pytest.raises(JudgeError, match="No answer to 2 of 12 prompts"):
        run_phases([Job(run, 1, Silent())], ("score",))
    assert scores(run)["rubric"] == [{"info": 0.0}] * 10
