"""The steering experiment plans every condition with its controls, without torch."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from trimtab.core.errors import ConfigError
from trimtab.core.plan import Cell, Plan
from trimtab.recipes.base import load_recipe

DATA: dict[str, Any] = {
    "recipe": "truthfulqa_steering",
    "name": "planned",
    "model": {"id": "bundled:smollm2-135m-instruct", "device": "cpu"},
    "task": {"limit": 4},
    "heldout": {"limit": 2},
    "steering": {"strengths": [0.5, -0.25]},
    "controls": {"prompt": "Be truthful.", "random_draws": 2},
    "judges": ["text_health"],
}

MakePlan = Callable[..., Plan]


@pytest.fixture
def make_plan(tmp_path: Path) -> MakePlan:
    def make_plan(*overrides: str) -> Plan:
        path = tmp_path / "experiment.yaml"
        path.write_text(yaml.safe_dump(DATA))
        return load_recipe(path, overrides).plan().plan

    return make_plan


def of(plan: Plan, measure: str) -> dict[str, Cell]:
    return {c.condition: c for c in plan.cells if c.measure == measure}


def test_every_measure_has_every_condition_and_each_condition_its_role(make_plan) -> None:
    plan = make_plan()
    roles = {
        "baseline": "baseline",
        "prompt": "control",
        "caa -0.25": "treatment",
        "caa +0": "zero",
        "caa +0.5": "treatment",
        "random +0.25 #1": "control",
        "random +0.25 #2": "control",
        "random +0.5 #1": "control",
        "random +0.5 #2": "control",
    }
    measures = ["generation", "options", "two_option", "heldout"]
    for measure in measures:
        assert {k: c.role for k, c in of(plan, measure).items()} == roles
    assert len(plan.cells) == len(measures) * len(roles)
    assert plan.baseline == "baseline"


def test_everything_is_tested_on_the_test_split_and_shares_one_vector(make_plan) -> None:
    plan = make_plan()
    assert {c.split for c in plan.cells} == {"test"}
    (fit,) = plan.fits
    for cell in plan.cells:
        bare = cell.condition in ("baseline", "prompt")
        assert cell.artifacts == ({} if bare else {"vector": fit.key})


def test_keys_differ_by_strength_draw_and_measure_and_survive_new_neighbours(make_plan) -> None:
    plan = make_plan()
    assert len({c.key for c in plan.cells}) == len(plan.cells)
    more = make_plan(
        "steering.strengths=[-0.25, 0.5, 0.75]", "controls.random_strengths=[0.25, 0.5]"
    )
    kept = {c.key for c in more.cells}
    assert {c.key for c in plan.cells} <= kept
    assert {c.key for c in make_plan().cells} == {c.key for c in plan.cells}
    assert not {c.key for c in make_plan("seed=1").cells} & {c.key for c in plan.cells}


def test_the_layer_is_the_models_preset_unless_the_file_says_one(make_plan) -> None:
    for overrides, layer in [((), 15), (("steering.layer=3",), 3)]:
        cells = of(make_plan(*overrides), "generation")
        steered = [c for c in cells.values() if c.coordinates.get("series") in ("caa", "random")]
        assert len(steered) == 7
        assert {c.intervention.config["layer"] for c in steered} == {layer}
    other = of(make_plan("model.id=bundled:gemma3-270m"), "generation")
    assert other["caa +0.5"].intervention.config["layer"] == 8


def test_controls_and_measures_can_be_left_out_but_never_strength_zero(make_plan) -> None:
    plan = make_plan(
        "controls.prompt=null", "controls.random_draws=0", "measures=[generation]", "judges=[exact]"
    )
    assert {c.condition for c in plan.cells} == {"baseline", "caa -0.25", "caa +0", "caa +0.5"}
    assert [j.component.name for j in plan.judges] == ["exact"]


def test_judges_score_what_they_are_for(make_plan) -> None:
    judges = {j.key.rpartition("-")[0]: j for j in make_plan().judges}
    assert judges["text_health"].output == "text"
    assert judges["perplexity"].measures == ("heldout",)
    assert judges["divergence"].measures == ("options", "heldout")


def test_further_conditions_are_measured_wherever_they_can_act(make_plan) -> None:
    conditions = (
        "conditions={dac: {name: dac, shots: 2}, "
        "elsewhere: {name: caa, layer: 3, strength: 0.5, read: last}, "
        "raw: {name: caa, layer: 3, strength: 1, unit: raw}, "
        "chosen: {name: caa, layer: auto, strength: 0.5}, "
        "pca +0.5: {name: caa, strength: 0.5, estimator: pca}, "
        "nothing: {name: caa, layer: 3, strength: 0}}"
    )
    plan = make_plan(conditions)
    free, options = of(plan, "generation"), of(plan, "options")
    assert free["dac"].role == "treatment" and "dac" not in options
    assert free["dac"].coordinates == {"series": "dac"} and free["dac"].artifacts
    assert options["elsewhere"].coordinates == {
        "series": "elsewhere",
        "strength": 0.5,
        "unit": "relative",
        "layer": 3,
    }
    assert "layer" not in options["raw"].coordinates, "its random control has another length"
    assert "layer" not in options["chosen"].coordinates, "its random control may be elsewhere"
    assert options["pca +0.5"].coordinates["layer"] == 15, "that of steering"
    assert options["pca +0.5"].coordinates["series"] == "pca", "the strength is no part of a series"
    assert options["pca +0.5"].intervention.config["layer"] == 15
    assert options["nothing"].role == "zero"
    assert {c.key for c in make_plan().cells} <= {c.key for c in plan.cells}


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("conditions={dac: {name: dac, layer: 30, shots: 2}}", "layer = 30.*30 layers"),
        ("conditions={dac: {name: dac, shot: 2}}", "shot"),
        ("conditions={prompt: {name: none}}", "'prompt' of generation occurs twice"),
        ("steering.strengths=[0.5, 0.5]", "distinct"),
        ("steering.strengths=[0]", "distinct"),
        ("steering.layer=30", "30 layers"),
        ("task.form=options", "choose with the key measures"),
        ("measures=[]", "measures nothing"),
        ("judges=[exact, exact]", "occurs twice"),
        ("controls.random_strengths=[0.5, 0.5]", "occurs twice"),
        ("extensions=5", "must be a list"),
        ("recipe=5", "recipe = 5"),
        ("recipe=null", "'recipe' is missing"),
    ],
)
def test_what_makes_no_experiment_is_refused(make_plan, override: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        make_plan(override)


def test_a_condition_that_acts_on_no_measure_is_refused(make_plan) -> None:
    with pytest.raises(ConfigError, match=r"condition 'dac'.*acts on none of what is measured"):
        make_plan("conditions={dac: {name: dac, shots: 2}}", "measures=[options]")


def test_planning_loads_no_model_library(tmp_path: Path) -> None:
    path = tmp_path / "experiment.yaml"
    path.write_text(yaml.safe_dump(DATA))
    code = (
        "import sys; from pathlib import Path; from trimtab.recipes.base import load_recipe\n"
        "assert load_recipe(Path(sys.argv[1])).plan().plan.cells\n"
        "assert not {'torch', 'transformers', 'matplotlib'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], check=True)


def test_a_bank_adds_a_cell_per_vector_and_one_artifact(make_plan) -> None:
    plan = make_plan("bank={vectors: 3, sizes: [4, 8], strengths: [0.5]}", "measures=[options]")
    bank = {k: c for k, c in of(plan, "options").items() if k.startswith("bank")}
    assert set(bank) == {f"bank of {n} +0.5 #{k}" for n in (4, 8) for k in (1, 2, 3)}
    (fit,) = (fit for fit in plan.fits if fit.component.name == "bank")
    assert len({c.key for c in bank.values()}) == 6
    assert {c.artifacts["vector"] for c in bank.values()} == {fit.key}
    # its steerability is measured on the select split, whose pairs are part of its key
    assert fit.data["select_pairs"].key != fit.data["pairs"].key
    with pytest.raises(ConfigError, match="one vector has no spread"):
        make_plan("bank.vectors=1")


def test_pairs_that_are_not_finite_are_left_out_by_every_vector_or_by_none(make_plan) -> None:
    bank = "bank={vectors: 2, sizes: [4]}"
    for asked in (True, False):
        plan = make_plan(bank, f"steering.drop_nonfinite={asked}", "measures=[options]")
        fits = {fit.component.name: fit.component.config for fit in plan.fits}
        assert set(fits) == {"bank", "caa"}
        assert {c.get("drop_nonfinite", False) for c in fits.values()} == {asked}


def test_an_automatic_layer_is_chosen_by_the_fit_from_select_pairs(make_plan) -> None:
    plan = make_plan("steering.layer=auto", "steering.estimator=pca")
    (fit,) = plan.fits
    assert fit.component.config["layer"] == "auto" and fit.data["select_pairs"].split == "select"
    assert fit.component.config["estimator"] == "pca"
    steered = [c for c in plan.cells if c.coordinates.get("series") in ("caa", "random")]
    assert {c.artifacts["vector"] for c in steered} == {fit.key}
    assert make_plan().fits[0].data.keys() == {"pairs"}


def test_by_default_eight_random_directions_where_options_are_scored_and_four_for_texts(
    make_plan,
) -> None:
    plan = make_plan("controls={prompt: Be truthful.}")
    for measure, draws in [("generation", 4), ("options", 8), ("two_option", 8), ("heldout", 8)]:
        drawn = [k for k in of(plan, measure) if k.startswith("random +0.5 #")]
        assert drawn == [f"random +0.5 #{k + 1}" for k in range(draws)]
    keys = {c.key for c in make_plan().cells}
    assert keys < {c.key for c in plan.cells}, "more draws change no key of those before"


def test_learned_conditions_bring_their_controls_once(make_plan) -> None:
    learned = "{name: mlp, layer: 15, input: prompt, strength: %s, mode: %s}"
    plan = make_plan(
        f"conditions.near={learned % (0.5, 'mc')}",
        f"conditions.far={learned % (0.7, 'gen')}",
        f"conditions.again={learned % (0.7, 'mc')}",
        "steering.layer=15",
        "measures=[options]",
    )
    found = of(plan, "options")
    roles = {k: c.role for k, c in found.items() if k.startswith(("near", "far", "again"))}
    assert roles == {
        "near": "treatment",
        "far": "treatment",
        "again": "treatment",
        # caa and random directions of strength 0.5 are in the plan already
        "near, shuffled prompts": "control",
        "far, constant vector": "control",
        "far, random #1": "control",
        "far, random #2": "control",
        "far, shuffled prompts": "control",
        # the constant vector and random directions are those of `far`
        "again, shuffled prompts": "control",
    }
    assert len({cell.key for cell in plan.cells}) == len(plan.cells)
    assert found["near, shuffled prompts"].artifacts == found["near"].artifacts
    assert found["far, constant vector"].artifacts == found["caa +0.5"].artifacts
    assert found["far, random #1"].artifacts == found["caa +0.5"].artifacts
    assert found["far, random #2"].coordinates["draw"] == 1
    controls = {label: cell.control for label, cell in found.items() if "," in label}
    assert controls["far, random #1"] == "random"
    assert controls["far, constant vector"] == "constant vector"
    fits = [fit for fit in plan.fits if fit.component.name == "mlp"]
    assert len(fits) == 3 and all("select_pairs" in fit.data for fit in fits)
