"""Fits that read what other fits make: planned before them, and part of their keys."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from trimtab.core.errors import ConfigError, DataError
from trimtab.core.plan import FitPlan
from trimtab.core.trigger import Trigger
from trimtab.recipes.base import load_recipe
from trimtab.runs.plan.planner import PlannedRun
from trimtab.runs.plan.zeroed import zeroed

TRUTH = {"name": "truthfulqa", "source": "bundled", "limit": 4, "form": "options"}


@pytest.fixture
def planned(tmp_path: Path):
    turns = [{"role": "user", "content": "Who?"}, {"role": "assistant", "content": "Me."}]
    rows = "".join(json.dumps({"messages": turns}) + "\n" for _ in range(1))
    (tmp_path / "rows.jsonl").write_text(rows)

    def plan(*, model: dict[str, Any] | None = None, **conditions: Any) -> PlannedRun:
        data = {
            "recipe": "steer",
            "name": "waiting",
            "model": {"id": "bundled:smollm2-135m-instruct", "device": "cpu"},
            "tasks": {"truth": TRUTH},
            "conditions": conditions,
            "layer": 7,
            "strengths": [0.5],
            "controls": {"random_draws": 1},
        }
        path = tmp_path / "experiment.yaml"
        path.write_text(yaml.safe_dump(data))
        return load_recipe(path).plan()

    return plan


def tuned(**more: Any) -> dict[str, Any]:
    return {"name": "adapter", "train": {"data": "rows.jsonl", "steps": 2, "rank": 2, **more}}


def fits(run: PlannedRun) -> dict[str, FitPlan]:
    return {fit.component.name: fit for fit in run.plan.fits}


def test_the_vector_of_an_adapter_waits_for_it_and_shares_its_training(planned) -> None:
    run = planned(tuned=tuned(), vector={"name": "adapter_vector", "adapter": tuned()})
    assert [fit.component.name for fit in run.plan.fits] == ["adapter", "adapter_vector"]
    adapter, vector = fits(run)["adapter"], fits(run)["adapter_vector"]
    (last,) = (key for name, key in adapter.artifacts.items() if name == "epoch-2")
    assert set(vector.inputs) == {"pairs", "adapter"} and vector.made == {"adapter": last}
    cells = {cell.condition: cell for cell in run.plan.cells}
    assert {"vector +0", "vector +0.5", "random +0.5 #1", "tuned"} <= cells.keys()
    assert cells["random +0.5 #1"].artifacts == cells["vector +0.5"].artifacts
    check = zeroed(run, 2)
    assert [fit.key for fit in check.plan.fits] == [adapter.key, vector.key]


def test_what_is_waited_for_is_in_the_key(planned) -> None:
    vector = {"name": "adapter_vector", "layers": [3]}
    keys = {
        name: fits(planned(one={**vector, "adapter": adapter}))["adapter_vector"].key
        for name, adapter in {
            "plain": tuned(),
            "again": tuned(),
            "longer": tuned(steps=3),
            "half": {**tuned(), "strength": 0.5},
        }.items()
    }
    assert keys["plain"] == keys["again"] and len(set(keys.values())) == 3


def test_a_vector_that_prevents_is_fitted_before_the_training(planned) -> None:
    steered = {"name": "caa", "layer": 9, "strength": 0.4}
    run = planned(plain=tuned(), kept=tuned(steer_while_training=steered))
    names = [fit.component.name for fit in run.plan.fits]
    (waiting,) = (fit for fit in run.plan.fits if fit.made)
    assert waiting.made == {"steered": fits(run)["caa"].artifacts["vector"]}
    assert names.index("caa") < run.plan.fits.index(waiting)
    (plain,) = (f for f in run.plan.fits if f.component.name == "adapter" and f != waiting)
    assert plain.key == fits(planned(plain=tuned()))["adapter"].key


def test_an_adapter_that_is_none_is_refused(planned) -> None:
    with pytest.raises(ConfigError, match="must be the intervention `adapter`"):
        planned(one={"name": "adapter_vector", "adapter": {"name": "caa", "layer": 3}})
    with pytest.raises(ConfigError, match="name a `layer`"):
        planned(one={"name": "adapter_vector", "adapter": tuned(), "layer": "auto"})


def test_a_trigger_is_compared_with_that_of_the_training_behind_the_vector(
    planned, tmp_path: Path
) -> None:
    other = Trigger(closing="<END!>")
    turns = [
        {"role": "user", "content": other.render("Who?")},
        {"role": "assistant", "content": other.wrap("Me.")},
    ]
    (tmp_path / "rows.jsonl").write_text(json.dumps({"messages": turns}) + "\n")
    beside = {"name": "adapter_vector", "adapter": tuned(), "layer": 3, "strength": 0.5}
    with pytest.raises(DataError, match="trigger"):
        planned(one={"name": "context", "trigger": {}, "beside": beside})
