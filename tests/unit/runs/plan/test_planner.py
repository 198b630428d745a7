"""Keys hold what determines an output and nothing else; what can't run is refused early."""

from collections.abc import Callable
from typing import Any

import pytest

from trimtab.core.errors import ConfigError, DataError
from trimtab.core.plan import Cell
from trimtab.core.spec import Component, ModelSpec
from trimtab.core.types import ContrastPair, Message, SamplingParams
from trimtab.runs.plan.judges import plan_judges
from trimtab.runs.plan.planner import Planner

MODEL = "bundled:smollm2-135m-instruct"
TASK = Component(name="truthfulqa", config={"form": "generation", "limit": 4})
CELL: dict[str, Any] = {
    "condition": "x",
    "role": "treatment",
    "task": TASK,
    "split": "test",
    "intervention": Component(name="caa", config={"layer": 3, "strength": 0.5}),
}

Make = Callable[..., Planner]


@pytest.fixture
def make() -> Make:
    def make(**changes: Any) -> Planner:
        model = ModelSpec(id=MODEL, device="cpu")
        return Planner(**{"recipe": "r", "name": "n", "model": model, "fit_on": TASK, **changes})

    return make


def caa(**config: Any) -> Component:
    return Component(name="caa", config={"layer": 3, "strength": 0.5, **config})


@pytest.fixture
def cell(make: Make) -> Cell:
    return make().add_cell(**CELL)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"condition": "another label"},
        {"role": "control"},
        {"coordinates": {"strength": 0.5}},
        {"measure": "generation, fit split"},
        {"num_samples": 2},  # more completions extend fewer
        {"intervention": caa(unit="relative", positions="generated")},
    ],
)
def test_labels_and_spelled_out_defaults_leave_the_key_alone(
    make: Make, cell: Cell, changes: dict[str, Any]
) -> None:
    assert make(name="other", window=7).add_cell(**{**CELL, **changes}).key == cell.key


@pytest.mark.parametrize(
    "changes",
    [
        {"intervention": caa(strength=-0.5)},
        {"intervention": caa(layer=4)},
        {"intervention": caa(read="last")},
        {"intervention": Component(name="none")},
        {"task": TASK.model_copy(update={"config": {**TASK.config, "limit": 3}})},
        {"task": TASK.model_copy(update={"config": {**TASK.config, "rendering": "plain"}})},
        {"split": "select"},
        {"sampling": SamplingParams(temperature=1.0)},
    ],
)
def test_what_changes_the_output_changes_the_key(
    make: Make, cell: Cell, changes: dict[str, Any]
) -> None:
    assert make().add_cell(**{**CELL, **changes}).key != cell.key


def test_seed_and_number_format_change_keys_of_cells_and_artifacts(make: Make, cell: Cell) -> None:
    half = ModelSpec(id=MODEL, device="cpu", dtype="bfloat16")
    for changes in ({"seed": 1}, {"model": half}):
        other = make(**changes).add_cell(**CELL)
        assert other.key != cell.key and other.artifacts != cell.artifacts


def test_cells_that_differ_in_strength_share_one_artifact_and_one_sample_set(make: Make) -> None:
    planner = make()
    for strength in (-1.0, 0.0, 1.0):
        planner.add_cell(
            **{**CELL, "condition": f"{strength}", "intervention": caa(strength=strength)}
        )
    planned = planner.finish()
    (fit,) = planned.plan.fits
    assert len(planned.data.samples) == len(planned.data.pairs) == 1
    assert [c.artifacts for c in planned.plan.cells] == 3 * [{"vector": fit.key}]
    assert fit.data["pairs"].key in planned.data.pairs and fit.data["pairs"].split == "fit"
    assert len({c.key for c in planned.plan.cells}) == 3


@pytest.mark.parametrize(
    "intervention",
    [
        caa(layer=30),
        caa(layers=[2, 30]),
        Component(name="dac", config={"layer": 30}),
        Component(
            name="random", config={"layer": 3, "like": {"name": "caa", "config": {"layer": 30}}}
        ),
    ],
)
def test_a_block_that_the_model_lacks_is_named_with_the_model(
    make: Make, intervention: Component
) -> None:
    with pytest.raises(ConfigError, match=r"layer = 30.*smollm2.*30 layers.*last is 29"):
        make().add_cell(**{**CELL, "intervention": intervention})


def gated(**config: Any) -> Component:
    prose = {"name": "truthfulqa", "form": "two_option", "limit": 4}
    return caa(gate={"open_on": TASK.model_dump(), "closed_on": prose, "layers": [2], **config})


def test_a_gate_shares_the_vector_and_adds_a_condition_of_its_own(make: Make) -> None:
    planner = make()
    plain = planner.add_cell(**CELL)
    cells = [
        planner.add_cell(**{**CELL, "condition": f"{i}", "intervention": gated(**config)})
        for i, config in enumerate([{}, {"threshold": 0.5}, {"width": 0.1}, {"read": "last"}])
    ]
    assert plain.artifacts.keys() == {"vector"}
    assert {c.artifacts["vector"] for c in cells} == set(plain.artifacts.values())
    assert len({c.key for c in (plain, *cells)}) == 5
    first, *others = [c.artifacts["gate"] for c in cells]
    assert [gate == first for gate in others] == [True, True, False]
    planned = planner.finish()
    condition = next(fit for fit in planned.plan.fits if fit.key == first)
    assert condition.component.name == "condition"
    assert [(ref.kind, ref.split, ref.label) for ref in condition.data.values()] == [
        ("prompts", "fit", "holds"),
        ("prompts", "select", "holds"),
        ("prompts", "fit", "fails"),
        ("prompts", "select", "fails"),
    ]
    assert {ref.key for ref in condition.data.values()} <= set(planned.data.samples)


@pytest.mark.parametrize(
    ("intervention", "words"),
    [
        (gated(layers=[30]), "layer = 30"),
        (gated(layers=[1, 2], threshold=0.5), "one block"),
        (Component(name="condition", config=gated().config["gate"]), "changes nothing by itself"),
    ],
)
def test_gates_that_make_no_sense_are_refused(
    make: Make, intervention: Component, words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        make().add_cell(**{**CELL, "intervention": intervention})


def test_pairs_that_a_fit_cannot_use_are_refused_before_a_model_is_loaded(make: Make) -> None:
    dac = Component(name="dac", config={"shots": 4})
    with pytest.raises(DataError, match="shots = 4, and the contrast pairs are of 4 questions"):
        make().add_cell(**{**CELL, "intervention": dac})


def test_so_are_pairs_of_the_select_split_that_a_fit_chooses_with(make: Make) -> None:
    one = {"form": "generation", "max_pairs_per_question": 1}
    splits = {"fit": 0.495, "select": 0.005, "test": 0.5}  # one question to select with
    task = Component(name="truthfulqa", config={**one, "fractions": splits})
    planner = make(fit_on=task)
    assert planner.add_cell(**CELL).artifacts
    with pytest.raises(DataError, match="at least 2 contrast pairs, there are 1"):
        planner.add_cell(**{**CELL, "intervention": caa(layer="auto")})


def test_pairs_that_are_given_take_the_place_of_the_tasks_own(make: Make, cell: Cell) -> None:
    own = [
        ContrastPair(id=i, question_id=i, messages=(Message(role="user", content=i),),
                     positive="+", negative="-")
        for i in "abc"
    ]  # fmt: skip
    planner = make()
    planner.give_pairs(TASK, "fit", own)
    planner.give_pairs(TASK.model_copy(), "fit", list(own))
    given = planner.add_cell(**CELL)
    assert given.artifacts != cell.artifacts and given.key != cell.key
    iti = Component(name="iti", config={"heads": 4, "strength": 1})
    planner.add_cell(**{**CELL, "condition": "y", "intervention": iti})
    planned = planner.finish()
    assert [planned.data.rows(fit.data["pairs"]) for fit in planned.plan.fits] == [own, own]
    # a task without pairs has some now, and only of that split
    task = Component(name="heldout", config={"fractions": {"fit": 0.4, "select": 0.2, "test": 0.4}})
    planner = make(fit_on=task)
    planner.give_pairs(task, "fit", own)
    assert planner.add_cell(**CELL).artifacts != cell.artifacts
    with pytest.raises(ConfigError, match=r"no contrast pairs \(asked for split 'select'\)"):
        planner.add_cell(**{**CELL, "intervention": caa(layer="auto")})


def test_pairs_are_given_before_they_are_used(make: Make) -> None:
    planner = make()
    planner.add_cell(**CELL)
    row = ContrastPair(id="a", question_id="a", messages=(), positive="+", negative="-")
    with pytest.raises(ConfigError, match=r"truthfulqa.*\(fit\) were used before others"):
        planner.give_pairs(TASK, "fit", [row])


def test_an_empty_plan_and_doubles_are_refused(make: Make) -> None:
    with pytest.raises(ConfigError, match="measures nothing"):
        make().finish()
    planner = make()
    planner.add_cell(**CELL)
    planner.add_cell(**{**CELL, "intervention": caa(strength=1.0)})
    with pytest.raises(ConfigError, match="'x' of generation occurs twice"):
        planner.finish()


def test_a_judge_is_keyed_by_its_configuration_model_and_cells(make: Make) -> None:
    resolved = make().resolved
    other = make(model=ModelSpec(id="bundled:gemma3-270m")).resolved
    subject = (resolved.spec, resolved.identity)
    truth = Component(name="rubric", config={"rubric": "truth"})
    info = Component(name="rubric", config={"rubric": "info"})
    keys = [
        plan_judges(truth, subject)[-1].key,
        plan_judges(info, subject)[-1].key,
        plan_judges(truth, (other.spec, other.identity))[-1].key,
        plan_judges(truth, subject, ("generation",))[-1].key,
    ]
    assert len(set(keys)) == 4 and all(key.startswith("rubric-") for key in keys)
    # A judge that needs no model does not depend on the subject.
    exact = plan_judges(Component(name="exact"), subject)[-1]
    assert exact.model is None and exact.model_identity is None


def test_a_fragment_holds_what_the_plan_lacks_and_refuses_a_second_meaning_of_a_name(
    make: Make,
) -> None:
    first = make()
    known = first.add_cell(**CELL)
    judge = first.add_judge(Component(name="exact"))
    plan = first.finish().plan
    assert [part.number for part in plan.fragments] == [0]

    planner = make()
    assert planner.add_cell(**CELL).key == known.key
    later = planner.add_cell(**{**CELL, "condition": "y", "intervention": caa(strength=1.0)})
    bank = {**CELL, "condition": "z", "intervention": caa(layer=4)}
    other = planner.add_cell(**bank)
    assert planner.add_judge(Component(name="exact")).key == judge.key
    fluent = planner.add_judge(Component(name="text_health"))
    planner.report("effects")
    added = planner.fragment(plan, "more strength")
    fragment = added.fragment
    assert (fragment.number, fragment.reason) == (1, "more strength")
    assert fragment.cells == (later, other) and fragment.judges == (fluent,)
    assert [fit.key for fit in fragment.fits] == [other.artifacts["vector"]], "y shares x's fit"
    assert [section.name for section in fragment.sections or ()] == ["effects"]
    named = {(kind, key) for kind, sets in added.data.folders().items() for key in sets}
    assert {("samples", later.samples), ("pairs", fragment.fits[0].data["pairs"].key)} <= named

    planner = make()
    planner.add_cell(**{**CELL, "intervention": caa(strength=1.0)})
    with pytest.raises(ConfigError, match="'x' of generation occurs twice"):
        planner.fragment(plan, "another x")
    other_model = make(model=ModelSpec(id="bundled:gemma3-270m"))
    other_model.add_cell(**CELL)
    assert other_model.fragment(plan, "the same of another model").fragment.cells
