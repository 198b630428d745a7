"""Keys of plans stay what they are: kept rows and fits are found again by them.

Recorded with commit 977cf48 (trimtab 0.1.0). A key may move only with the meaning of what it
names, and then the ``VERSION`` of that task, intervention or judge is raised. Planning loads data
and reads the model's file for its identity; nothing is computed.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from trimtab.core.plan import Plan
from trimtab.recipes.base import load_recipe

# float32 on every machine: the number format is part of every key, the device of none
MODEL = "model={id: 'bundled:smollm2-135m-instruct', device: cpu}"

METHODS = (
    "task.limit=8",
    "measures=[generation]",
    "headline=null",
    "steering.layer=auto",
    "bank={vectors: 2, sizes: [4], strengths: [0.2]}",
    "conditions={iti: {name: iti, heads: 24, strength: 5},"
    " mlp: {name: mlp, mode: mc, strength: 0.3, training: {steps: 4}},"
    " dac: {name: dac, shots: 2}}",
    "judges=[{name: panel, judges: [{name: rubric, rubric: truth, threshold: 0.4},"
    " {name: rubric, rubric: truth, threshold: 0.6}]}]",
)

# a vector that acts only where the prompt is a question and no prose
GATED = (
    "measures=[generation]",
    "headline=null",
    "conditions={gated: {name: caa, layer: 15, strength: 0.3, unit: relative, gate: {"
    "open_on: {name: truthfulqa, form: generation, limit: 3},"
    " closed_on: {name: heldout, fractions: {fit: 0.25, select: 0.25, test: 0.5}},"
    " layers: [14, 15]}}}",
)

EXPERIMENTS: dict[str, tuple[str, tuple[str, ...]]] = {
    "steering": ("truthfulqa_steering/smoke.yaml", ()),
    "methods": ("truthfulqa_steering/smoke.yaml", METHODS),
    "gated": ("truthfulqa_steering/smoke.yaml", GATED),
    "behaviours": ("caa_behaviours/smoke.yaml", ()),
    "best of n": ("gsm8k_best_of_n/smoke.yaml", ()),
}

CELLS = {
    ("steering", "caa +0.3", "generation"): "07e3b88e0d177913",
    ("steering", "random +0.3 #1", "options"): "547e0e2a7abc4a45",
    ("gated", "gated", "generation"): "f2894c639d16bc20",
    ("behaviours", "agreement +1", "agreement"): "fbb484f1a864c125",  # with four of 32 questions
    ("best of n", "candidates", "generation"): "6423fc405208efee",
}

FITS = {
    ("steering", "caa"): "9fe892d276a74eca",
    ("methods", "caa"): "e52e33111dd26ce3",  # layer: auto, chosen on the select split
    ("methods", "bank"): "a8fd9eb76aef23b3",
    ("methods", "iti"): "56946c7f52c0ba25",
    ("methods", "mlp"): "c7a2dd8728dadd4e",
    ("methods", "dac"): "36e2b587022bd9e4",
    ("gated", "condition"): "bf445464a6c3894b",
}

JUDGES = {
    ("steering", "rubric"): "rubric-00a42155",
    ("methods", "panel"): "panel-a4197db8",
}

Planned = Callable[[str], Plan]


@pytest.fixture(scope="module")
def planned(repo: Path) -> Planned:
    """Return a function from an experiment's name to its plan."""
    plans: dict[str, Plan] = {}

    def plan(name: str) -> Plan:
        if name not in plans:
            path, overrides = EXPERIMENTS[name]
            plans[name] = load_recipe(repo / "configs" / path, (MODEL, *overrides)).plan().plan
        return plans[name]

    return plan


@pytest.mark.parametrize(("experiment", "condition", "measure"), CELLS)
def test_keys_of_cells(planned: Planned, experiment: str, condition: str, measure: str) -> None:
    keys = {(cell.condition, cell.measure): cell.key for cell in planned(experiment).cells}
    assert keys[condition, measure] == CELLS[experiment, condition, measure]


@pytest.mark.parametrize(("experiment", "component"), FITS)
def test_keys_of_what_interventions_fit(planned: Planned, experiment: str, component: str) -> None:
    plan = planned(experiment)
    keys = {
        key
        for fit in plan.fits
        if fit.component.name == component
        for key in fit.artifacts.values()
    }
    assert keys == {FITS[experiment, component]}
    assert keys <= {key for cell in plan.cells for key in cell.artifacts.values()}


@pytest.mark.parametrize(("experiment", "component"), JUDGES)
def test_keys_of_judges(planned: Planned, experiment: str, component: str) -> None:
    keys = [j.key for j in planned(experiment).judges if j.component.name == component]
    assert keys == [JUDGES[experiment, component]]


def test_keys_of_a_judge_that_learns(planned: Planned) -> None:
    plan, fit_key = planned("best of n"), "energy-1c33afcfb3ee7529"
    judges = [j for j in plan.judges if j.component.config.get("kind") == "encoder"]
    whole, *_ = [j for j in judges if "ablation" not in j.component.config]
    assert whole.key == "energy-f4a5893b"
    assert set(whole.artifacts.values()) == {fit_key}
    # what it is shown less of is no other fit
    assert {key for j in judges for key in j.artifacts.values()} == {fit_key}
    assert fit_key in {key for fit in plan.fits for key in fit.artifacts.values()}
