"""Plans come back from JSON as they were, and are the sum of their fragments."""

import json
from typing import Any

import pytest

from trimtab.core.plan import Cell, CellsRef, DataRef, FitPlan, Fragment, JudgePlan, Plan
from trimtab.core.spec import Component, Metric, ModelSpec
from trimtab.core.types import SamplingParams


def cell(key: str, **changes: Any) -> Cell:
    fields = {
        "key": key,
        "condition": "caa +0.5",
        "role": "treatment",
        "measure": "generation",
        "model": ModelSpec(id="tiny"),
        "model_identity": "m",
        "task": Component(name="truthfulqa", config={"form": "generation"}),
        "split": "test",
        "samples": "set-1",
        "output": "text",
        "intervention": Component(name="caa", config={"layer": 3, "strength": 0.1 + 0.2}),
        "artifacts": {"vector": "k"},
        "sampling": SamplingParams(temperature=0.7, stop=("Q:",)),
    }
    return Cell.model_validate({**fields, **changes})


@pytest.fixture
def fit() -> FitPlan:
    return FitPlan(
        key="k",
        component=Component(name="energy"),
        owner="judge",
        inputs={
            "pairs": DataRef(kind="pairs", key="p", split="fit", rendering="plain"),
            "answers": CellsRef(cells=("a", "b"), judges=("exact-1",)),
            "unscored": CellsRef(cells=()),
            "holds": DataRef(kind="prompts", key="s", split="select", label="holds"),
        },
        reward="exact-1",
        metric="exact",
        artifacts={"energy": "k-energy", "scale": "k-scale"},
    )


def test_inputs_of_a_fit_are_told_apart_and_keep_their_order(fit: FitPlan) -> None:
    assert list(fit.data) == ["pairs", "holds"] and list(fit.completions) == ["answers", "unscored"]
    assert fit.completions["answers"].cells == ("a", "b")
    plan = Plan.single(recipe="r", name="n", cells=[], fits=[fit])
    assert list(plan.artifact_keys()) == ["k-energy", "k-scale"]


def test_a_plan_comes_back_from_json_as_it_was(fit: FitPlan) -> None:
    metric = Metric(name="exact", kind="binary", role="effect")
    judge = JudgePlan(
        key="exact-1", component=Component(name="exact"), output="text", metrics=(metric,),
        artifacts={"energy": "k-energy"}, members=("a-1",),
    )  # fmt: skip
    first = Fragment(cells=(cell("a"), cell("b", coordinates={"strength": 0.1})), judges=(judge,))
    second = Fragment(number=1, reason="é", fits=(fit,), sections=(Component(name="effects"),))
    plan = Plan(recipe="r", name="n", headline="mc1", fragments=(first, second))
    back = Plan.model_validate(json.loads(json.dumps(plan.model_dump(mode="json"))))
    assert back == plan
    assert back.fits[0].inputs == fit.inputs and list(back.fits[0].inputs) == list(fit.inputs)
    assert back.format == 2


def test_a_plan_is_its_fragments_in_order() -> None:
    parts = [
        Fragment(number=n, cells=(cell(f"c{n}"),), sections=sections)
        for n, sections in enumerate(
            [
                (Component(name="effects"), Component(name="damage", config={"best": 3})),
                None,
                (Component(name="damage"), Component(name="effects")),
            ]
        )
    ]
    plan = Plan(recipe="r", name="n", fragments=tuple(parts))
    assert [c.key for c in plan.cells] == ["c0", "c1", "c2"] and plan.fits == plan.judges == ()
    named = [(section.name, section.config) for section in plan.sections or ()]
    assert named == [("effects", {}), ("damage", {"best": 3}), ("damage", {})]
    silent = plan.model_copy(update={"fragments": (parts[1],)})
    assert silent.sections is None, "no fragment names any: every section has its say"
    empty = parts[1].model_copy(update={"sections": ()})
    assert plan.model_copy(update={"fragments": (empty,)}).sections == ()


@pytest.mark.parametrize(
    ("measures", "changes", "scores"),
    [
        (None, {}, True),
        (None, {"output": "options"}, False),
        (("generation",), {}, True),
        (("generation",), {"output": "options"}, False),
        (("mc",), {}, False),
        ((), {}, False),
    ],
)
def test_a_judge_scores_its_kind_of_output_and_its_measures(
    measures: tuple[str, ...] | None, changes: dict[str, Any], scores: bool
) -> None:
    judge = JudgePlan(
        key="j", component=Component(name="exact"), output="text", metrics=(), measures=measures
    )
    assert judge.scores(cell("a", **changes)) is scores
