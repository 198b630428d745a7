"""Runs of the first format read as plans of today, cell by cell and fit by fit."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from trimtab.core.errors import StoreError
from trimtab.core.plan import JudgePlan
from trimtab.core.spec import Component
from trimtab.recipes.base import grower
from trimtab.runs.store.formats import present, upgraded
from trimtab.runs.store.run import Run
from trimtab.runs.work import checks
from trimtab.runs.work.state import State, rows_of
from trimtab.runs.work.units import FitUnit, units

KEPT = Path(__file__).parents[3] / "data" / "run_977cf48"


@pytest.fixture(params=["steering", "best_of_n"])
def run(request: pytest.FixtureRequest, tmp_path: Path) -> Run:
    return Run.open(shutil.copytree(KEPT / request.param, tmp_path / request.param))


@pytest.fixture
def steering(tmp_path: Path) -> Run:
    return Run.open(shutil.copytree(KEPT / "steering", tmp_path / "steering"))


def old_plan(run: Run) -> dict[str, Any]:
    plan: dict[str, Any] = json.loads((run.dir / "plan.json").read_text(encoding="utf-8"))
    return plan


def test_every_cell_says_what_it_said(run: Run) -> None:
    renamed = {"artifact", "gate", "coordinates"}
    old = old_plan(run)
    assert run.plan.format == 1 and len(run.plan.fragments) == 1
    for name in ("recipe", "name", "baseline", "window", "seed"):
        assert getattr(run.plan, name) == old[name]
    for cell, before in zip(run.plan.cells, old["cells"], strict=True):
        now = cell.model_dump(mode="json")
        assert {k: now[k] for k in before.keys() - renamed} == {
            k: v for k, v in before.items() if k not in renamed
        }
        assert cell.artifacts.get("vector") == before["artifact"]
        assert cell.artifacts.get("gate") == before["gate"]
        strength = before["coordinates"].get("dose")
        assert cell.coordinates.get("strength") == strength and "dose" not in cell.coordinates
        assert cell.protocol in {row.protocol for row in run.completions(cell.key).values()}


def test_every_artifact_is_made_by_a_fit_that_reads_what_it_read(run: Run) -> None:
    old = old_plan(run)
    for artifact in old["artifacts"]:
        (fit,) = [fit for fit in run.plan.fits if fit.key == artifact["key"]]
        read = fit.data
        assert (read["pairs"].key if "pairs" in read else None) == artifact["pairs"]
        assert (read["select_pairs"].key if "select_pairs" in read else None) == (
            artifact["select_pairs"]
        )
        # in the order in which they were read, on which the last digit depends
        prompts = [(r.key, r.split, r.label) for r in read.values() if r.kind == "prompts"]
        assert prompts == [
            (p["samples"], p["split"], "holds" if p["holds"] else "fails")
            for p in artifact["prompts"]
        ]
    for judge, before in zip(run.plan.judges, old["judges"], strict=True):
        if before["fit"] is None:
            assert judge.artifacts == {}
            continue
        (fit,) = [fit for fit in run.plan.fits if fit.key == before["fit"]["key"]]
        assert fit.owner == "judge" and list(judge.artifacts.values()) == [fit.key]
        assert {name: list(ref.cells) for name, ref in fit.completions.items()} == {
            name: before["fit"][name] for name in ("fit", "select")
        }
        assert (fit.reward, fit.metric) == (before["fit"]["labels"], before["fit"]["metric"])
    known = set(run.plan.artifact_keys())
    assert {key for cell in run.plan.cells for key in cell.artifacts.values()} <= known
    assert all(run.has_artifact(key) for key in known)


def test_nothing_of_it_is_owed_and_its_recipe_is_found(run: Run) -> None:
    state = State(run)
    every = units(run)
    assert sum(isinstance(unit, FitUnit) for unit in every) == len(run.plan.fits) > 0
    assert {unit.kind for unit in every} >= {"generate", "score"}
    assert [unit.name for unit in every if state.owed(unit)] == []
    total, done = rows_of(state, every)
    assert total == done > 0
    assert grower(run)(run) is None, "its plan is complete"


def test_checks_and_strengths_are_read_under_their_old_names_until_new_ones_are_there(
    steering: Run,
) -> None:
    old = json.loads((steering.dir / "doses.json").read_text())
    assert steering.strengths == old != {}
    found = checks.read(steering)
    assert len(found) == sum(
        map(len, json.loads((steering.dir / "gates.json").read_text()).values())
    )
    before = (steering.dir / "gates.json").read_bytes()
    checks.after_score(steering)
    assert (steering.dir / "gates.json").read_bytes() == before, "an old file is not changed"
    assert [check.name for check in checks.read(steering)][: len(found)] == [c.name for c in found]
    assert present(steering.dir, "checks.json") == steering.dir / "checks.json"
    assert present(steering.dir, "strengths.json") == steering.dir / "doses.json"


def test_judges_that_were_added_then_and_now_are_both_there(run: Run) -> None:
    (then,) = run.extra_judges
    now = JudgePlan(key="exact-1", component=Component(name="exact"), output="text", metrics=())
    run.add_judge(now)
    assert Run.open(run.dir).extra_judges == (then, now)
    old = json.loads((KEPT / run.dir.name / "judges.json").read_text())
    assert then.key == old[0]["key"] and then.artifacts == {}


def test_controls_say_what_they_control_for(steering: Run) -> None:
    controls = {c.condition: c.control for c in steering.plan.cells if c.role == "control"}
    assert controls == {"prompt": "prompt", "random +0.3 #1": "random"}
    assert {c.control for c in steering.plan.cells if c.role != "control"} == {None}


@pytest.mark.parametrize(
    ("changes", "control"),
    [
        ({"role": "control", "intervention": {"name": "prompt", "config": {}}}, "prompt"),
        ({"role": "control", "condition": "caa, random #1"}, "random"),
        ({"role": "control", "coordinates": {"series": "random"}}, "random"),
        ({"role": "control", "condition": "far, shuffled prompts"}, None),
        ({"role": "treatment", "condition": "random"}, None),
    ],
)
def test_what_a_control_controls_for_is_told_by_its_words(
    steering: Run, changes: dict[str, Any], control: str | None
) -> None:
    old = old_plan(steering)
    plain = next(cell for cell in old["cells"] if cell["intervention"]["name"] == "caa")
    cell = {**plain, "gate": None, "coordinates": {}, **changes}
    plan = upgraded({**old, "cells": [cell]}, lambda task: ("plain", f"{task['name']} today"))
    assert plan.cells[0].control == control
    assert (plan.cells[0].rendering, plan.cells[0].protocol) == (
        "plain",
        f"{plain['task']['name']} today",
    )


def test_a_task_that_is_gone_and_a_damaged_plan(steering: Run) -> None:
    path = steering.dir / "plan.json"
    plan = old_plan(steering)
    cells = [{**cell, "task": {"name": "gone", "config": {}}} for cell in plan["cells"]]
    path.write_text(json.dumps({**plan, "cells": cells}))
    assert {(c.rendering, c.protocol) for c in Run.open(steering.dir).plan.cells} == {("chat", "")}
    for broken in (
        {**plan, "window": "wide"},
        {k: v for k, v in plan.items() if k != "judges"},
        {**plan, "artifacts": 3},
        {**plan, "cells": [{"key": "a"}]},
    ):
        path.write_text(json.dumps(broken))
        with pytest.raises(StoreError, match=r"plan\.json does not fit trimtab .*version"):
            Run.open(steering.dir)
