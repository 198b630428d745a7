"""The experiment on behaviours plans a vector of its own for each, and side effects of each."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from trimtab.core.errors import ConfigError
from trimtab.core.plan import Cell
from trimtab.recipes.base import load_recipe
from trimtab.runs.plan.planner import PlannedRun

DATA: dict[str, Any] = {
    "recipe": "caa_behaviours",
    "name": "planned",
    "model": {"id": "bundled:smollm2-135m-instruct", "device": "cpu"},
    "behaviours": ["agreement", "patience"],
    "side_effect": {"behaviour": "facts", "limit": 3},
    "controls": {"random_draws": 2},
}

MakePlan = Callable[..., PlannedRun]


@pytest.fixture
def make_plan(tmp_path: Path) -> MakePlan:
    def make_plan(*overrides: str) -> PlannedRun:
        path = tmp_path / "experiment.yaml"
        path.write_text(yaml.safe_dump(DATA))
        return load_recipe(path, overrides).plan()

    return make_plan


def of(planned: PlannedRun, measure: str) -> dict[str, Cell]:
    return {c.condition: c for c in planned.plan.cells if c.measure == measure}


def test_each_behaviour_has_its_conditions_and_all_of_them_side_effects(make_plan) -> None:
    planned = make_plan()
    for name in DATA["behaviours"]:
        assert {label: c.role for label, c in of(planned, name).items()} == {
            "baseline": "baseline",
            f"{name} +0": "zero",
            f"{name} -1": "treatment",
            f"{name} +1": "treatment",
            f"random for {name} +1 #1": "control",
            f"random for {name} +1 #2": "control",
        }
    assert set(of(planned, "facts")) == {
        "baseline", "agreement -1", "agreement +1", "patience -1", "patience +1",
    }  # fmt: skip
    assert {c.split for c in planned.plan.cells} == {"test"}
    drawn = [c.intervention.config["draw"] for c in planned.plan.cells if "#" in c.condition]
    assert sorted(drawn) == [0, 1, 2, 3], "no two behaviours share a random direction"


def test_the_default_extends_a_plan_of_one_random_direction(make_plan) -> None:
    one = make_plan("controls.random_draws=1").plan
    many = make_plan("controls.random_draws=null", "open_ended=true").plan
    assert {c.key for c in one.cells} < {c.key for c in many.cells}
    drawn = [c for c in many.cells if c.control == "random"]
    assert len({c.coordinates["draw"] for c in drawn}) == 2 * 8, "each behaviour has its own"
    for output, draws in [("options", 8), ("text", 4)]:
        numbers = {c.condition.partition("#")[2] for c in drawn if c.output == output}
        assert numbers == {str(k + 1) for k in range(draws)}


def test_each_behaviour_is_steered_by_a_vector_of_its_own_pairs(make_plan) -> None:
    planned = make_plan("fit_limit=2")
    assert len(planned.plan.fits) == 2
    for fit, name in zip(planned.plan.fits, DATA["behaviours"], strict=True):
        made = {"vector": fit.key}
        users = {c.coordinates["series"] for c in planned.plan.cells if c.artifacts == made}
        assert users == {name, "random"}
        steered = [
            c for c in planned.plan.cells if c.condition.endswith((f"{name} +1", f"{name} -1"))
        ]
        assert len(steered) == 4 and all(c.artifacts == made for c in steered)
        pairs = planned.data.pairs[fit.data["pairs"].key]
        assert len(pairs) == 4, "two questions in both orders"
        assert fit.component.config["read"] == "letter"


def test_judges_score_what_they_are_for(make_plan) -> None:
    scored = {tuple(j.measures or ()): j for j in make_plan().plan.judges}
    assert scored["agreement", "patience"].component.config == {"form": "behaviour"}
    assert scored["facts",].component.config == {"form": "side_effect"}
    assert len(scored) == 2
    written = make_plan("open_ended=true")
    assert set(of(written, "patience, open-ended")) == set(of(written, "patience"))
    assert {j.component.name for j in written.plan.judges} == {"choice", "text_health"}


def test_keys_survive_new_neighbours(make_plan) -> None:
    more = {c.key for c in make_plan("steering.strengths=[-2, -1, 1, 2]").plan.cells}
    assert {c.key for c in make_plan().plan.cells} <= more
    alone = {c.key for c in make_plan("behaviours=[agreement]").plan.cells}
    assert alone <= {c.key for c in make_plan().plan.cells}


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("behaviours=[]", "behaviours"),
        ("behaviours=[agreement, agreement]", "occurs twice"),
        ("behaviours=[facts]", r"'facts' \(given in `behaviours`\) belongs into `side_effect`"),
        ("side_effect.behaviour=patience", r"given in `side_effect`\) belongs into `behaviours`"),
        ("task.form=ab", "form can't be given here"),
        ("task.behaviour=patience", "behaviour can't be given here"),
        ("steering.strengths=[0]", "distinct"),
        ("steering.layer=30", "30 layers"),
        ("task.limits=5", "limit"),
    ],
)
def test_what_makes_no_experiment_is_refused(make_plan, override: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        make_plan(override)
