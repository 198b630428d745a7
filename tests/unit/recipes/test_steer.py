"""Any tasks and interventions, each with the controls that it means nothing without."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from trimtab.core.errors import ConfigError
from trimtab.core.plan import Cell, Plan
from trimtab.core.spec import Component
from trimtab.recipes._names import require_names
from trimtab.recipes.base import load_recipe
from trimtab.reports.data.conditions import conditions

TRUTH = {"name": "truthfulqa", "source": "bundled", "limit": 4}
DATA: dict[str, Any] = {
    "recipe": "steer",
    "name": "planned",
    "model": {"id": "bundled:smollm2-135m-instruct", "device": "cpu"},
    "tasks": {"truth": {**TRUTH, "form": "options"}, "text": TRUTH},
    "conditions": {
        "caa": "caa",
        "dac": {"name": "dac", "shots": 2},
        "iti +3": {"name": "iti", "strength": 3},
    },
    "layer": 7,
    "strengths": [0.5, -0.25],
    "controls": {"prompt": "Be truthful.", "random_draws": 1},
}

MakePlan = Callable[..., Plan]


@pytest.fixture
def make_plan(tmp_path: Path) -> MakePlan:
    def make_plan(**changes: Any) -> Plan:
        path = tmp_path / "experiment.yaml"
        path.write_text(yaml.safe_dump({**DATA, **changes}))
        return load_recipe(path).plan().plan

    return make_plan


def of(plan: Plan, measure: str) -> dict[str, Cell]:
    return {c.condition: c for c in plan.cells if c.measure == measure}


def randoms_of(plan: Plan) -> dict[str, tuple[str, ...]]:
    """Return the random vectors that a report compares each treatment with."""
    found = conditions(SimpleNamespace(plan=plan, artifact_info=lambda key: None))
    return {c.condition: c.randoms for c in found if c.group == "treatment"}


def test_every_condition_has_its_controls_wherever_it_can_act(make_plan: MakePlan) -> None:
    plan = make_plan()
    roles = {
        "baseline": ("baseline", None),
        "prompt": ("control", "prompt"),
        "caa +0": ("zero", None),
        "caa -0.25": ("treatment", None),
        "caa +0.5": ("treatment", None),
        "random +0.25 #1": ("control", "random"),
        "random +0.5 #1": ("control", "random"),
        "iti +3": ("treatment", None),
        "iti +3, random #1": ("control", "random"),
    }
    assert {k: (c.role, c.control) for k, c in of(plan, "truth").items()} == roles
    with_text = {**roles, "dac": ("treatment", None)}
    assert {k: (c.role, c.control) for k, c in of(plan, "text").items()} == with_text
    caa, drawn = (of(plan, "truth")[label] for label in ("caa +0.5", "random +0.5 #1"))
    assert caa.intervention.config["layer"] == 7 and caa.artifacts == drawn.artifacts
    assert drawn.coordinates["strength"] == caa.coordinates["strength"] == 0.5
    iti, heads = (of(plan, "truth")[label] for label in ("iti +3", "iti +3, random #1"))
    assert heads.intervention.config == {"strength": 3, "draw": 0}
    assert heads.artifacts == iti.artifacts
    treated = randoms_of(plan)
    assert treated["iti +3"] == ("iti +3, random #1",)
    assert treated["caa -0.25"] == ("random +0.25 #1",)


def test_a_strength_of_its_own_has_random_directions_unless_they_are_planned(
    make_plan: MakePlan,
) -> None:
    prose = {"name": "heldout", "fractions": {"fit": 0.25, "select": 0.25, "test": 0.5}}
    gate = {"open_on": TRUTH, "closed_on": prose}
    fixed = {
        "like the sweep": {"name": "caa", "strength": -0.5, "estimator": "pca"},
        "longer": {"name": "caa", "strength": 0.75},
        "elsewhere": {"name": "caa", "strength": 0.5, "layer": 3},
        "raw": {"name": "caa", "strength": 1, "unit": "raw"},
        "gated": {"name": "caa", "strength": 0.5, "gate": gate},
        "nothing": {"name": "caa", "strength": 0},
    }
    plan = make_plan(conditions={"caa": "caa", **fixed}, tasks={"truth": DATA["tasks"]["truth"]})
    assert randoms_of(plan) == {
        "caa -0.25": ("random +0.25 #1",),
        "caa +0.5": ("random +0.5 #1",),
        "like the sweep": ("random +0.5 #1",),
        **{name: (f"{name}, random #1",) for name in ("longer", "elsewhere", "raw", "gated")},
    }


def test_without_strengths_only_what_has_its_own_is_left(make_plan: MakePlan) -> None:
    plan = make_plan(strengths=[], conditions={"caa": "caa"}, controls={"prompt": None})
    assert {cell.condition for cell in plan.cells} == {"baseline"} and not plan.fits


def test_tasks_bring_their_judges_and_some_score_one_task_alone(make_plan: MakePlan) -> None:
    plan = make_plan(judges=["text_health"], judges_of={"truth": ["perplexity"]})
    measures = {judge.component.name: judge.measures for judge in plan.judges}
    assert measures["choice"] == measures["perplexity"] == ("truth",)
    assert measures["text_health"] is None
    with pytest.raises(ConfigError, match=r"judges_of names 'truht'.*Did you mean 'truth'"):
        make_plan(judges_of={"truht": ["perplexity"]})


def test_several_models_share_their_judges_and_have_fits_of_their_own(make_plan: MakePlan) -> None:
    one = make_plan()
    both = make_plan(model=None, models=["bundled:smollm2-135m-instruct", "bundled:gemma3-270m"])
    assert len(both.cells) == 2 * len(one.cells) and len(both.fits) == 2 * len(one.fits)
    assert [judge.key for judge in both.judges] == [judge.key for judge in one.judges]
    assert {cell.key for cell in one.cells} < {cell.key for cell in both.cells}
    with pytest.raises(ConfigError, match="either `model` or `models`"):
        make_plan(model=None)


def test_what_can_act_on_nothing_that_is_measured_is_refused(make_plan: MakePlan) -> None:
    with pytest.raises(ConfigError, match=r"condition 'dac'.*acts on none of what is measured"):
        make_plan(tasks={"truth": DATA["tasks"]["truth"]})


def test_a_headline_that_is_not_measured_is_refused_with_the_nearest(make_plan: MakePlan) -> None:
    assert make_plan(headline="mc2").headline == "mc2"
    with pytest.raises(ConfigError, match=r"headline = 'mc22'.* Did you mean 'mc2'"):
        make_plan(headline="mc22")


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"metrics": ["mc3", "ms3"]}, r"metrics = 'ms3' .* Did you mean"),
        ({"rule": {"metric": "mc9", "gap": {"above": 0}}}, r"rule.metric = 'mc9'"),
        ({"base": "bose"}, r"base = 'bose' is not in this experiment"),
    ],
)
def test_names_in_a_sections_settings_are_looked_up(
    make_plan: MakePlan, settings: dict[str, Any], told: str
) -> None:
    plan = make_plan()
    (part,) = plan.fragments
    section = Component(name="contrasts", config=settings)
    plan = plan.model_copy(
        update={"fragments": (part.model_copy(update={"sections": (section,)}),)}
    )
    with pytest.raises(ConfigError, match=told):
        require_names(plan)
