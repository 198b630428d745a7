"""Pairs of `arithmetic` and `gsm8k`: in the form that is asked for, and in keys of fits alone."""

import json
from pathlib import Path
from typing import Any

import pytest

from trimtab.core.errors import ConfigError
from trimtab.core.spec import Component, ModelSpec
from trimtab.datasets.corruption import is_right, is_wrong
from trimtab.runs.plan.planner import Planner
from trimtab.tasks.base import TASKS, Task

STEPS = (
    "He has {0} + {1} = <<{0}+{1}={2}>>{2}.\nTwice as many are {2}*2 = <<{2}*2={3}>>{3}.\n#### {3}"
)


@pytest.fixture
def source(tmp_path: Path) -> str:
    rows = []
    for i in range(11, 71):
        n = i * i + 1
        question = f"Tom number {i} has {i} hens and gets {n} more. How many are twice as many?"
        answer = STEPS.format(i, n, i + n, 2 * (i + n))
        rows.append({"question": question, "answer": answer})
    path = tmp_path / "hens.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def hens(source: str, **config: Any) -> Task[Any]:
    fractions = {"fit": 0.5, "select": 0.2, "test": 0.3}
    return TASKS.build("gsm8k", {"source": source, "fractions": fractions, **config})


def test_a_chat_answer_has_no_calculator_marks_and_a_raw_one_is_like_the_shots(source) -> None:
    pair = hens(source).pairs("fit")[0]
    sample = next(s for s in hens(source).samples("fit") if s.id == pair.question_id)
    assert pair.messages == sample.messages and not pair.preamble
    assert pair.question == sample.metadata["question"] != pair.messages[-1].content
    assert "<<" not in pair.positive + pair.negative and "####" in pair.positive
    raw = hens(source, rendering="raw", shots=2)
    one = next(p for p in raw.pairs("fit") if p.question_id == pair.question_id)
    assert one.positive.startswith(" He has") and "<<" in one.negative
    assert one.preamble == raw.samples("fit")[0].preamble
    assert f"Question: {sample.metadata['question']}\nAnswer:" == one.messages[-1].content


def test_a_worked_example_is_no_pair_as_its_solution_is_there_to_be_copied(source) -> None:
    raw = hens(source, rendering="raw", shots=3, limit=4)
    pairs = raw.pairs("fit")
    assert len(pairs) == 4
    assert not any(pair.question in pair.preamble for pair in pairs)
    with pytest.raises(ConfigError, match=r"no contrast pairs for the split 'fit'.*'corrupted'"):
        hens(source, rendering="raw", shots=99).pairs("fit")


def test_a_seed_makes_other_mistakes_of_the_same_problems(source) -> None:
    one, other = (hens(source, pairs={"seed": seed}).pairs("fit") for seed in (0, 1))
    assert [p.positive for p in one] == [p.positive for p in other]
    assert [p.negative for p in one] != [p.negative for p in other]
    assert [p.id for p in one] == [p.id for p in other]


def test_problems_without_a_wrong_solution_are_counted(tmp_path: Path) -> None:
    rows = [{"question": f"What is {i}?", "answer": f"{i}"} for i in range(20, 40)]
    rows.append({"question": "What is six?", "answer": "6 is right, not 5\n#### 6"})
    path = tmp_path / "words.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    task = hens(str(path), fractions={"fit": 1, "select": 0, "test": 0}, tolerance={
        "rule": "relative", "value": 0.99})  # fmt: skip
    assert task.notes() == ()
    assert len(task.pairs("fit")) == 20
    (note,) = task.notes()
    assert note.startswith("1 problem of the split 'fit' without a contrast pair")


@pytest.mark.parametrize("name", ["arithmetic", "gsm8k"])
def test_a_file_takes_the_place_of_corrupted_solutions(name, source, tmp_path: Path) -> None:
    config = {"count": 60} if name == "arithmetic" else {"source": source}
    made = TASKS.build(name, config).pairs("fit")
    rows = [{"question": p.question, "positive": p.negative, "negative": p.positive} for p in made]
    path = tmp_path / "turned.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows[:-1]))
    task = TASKS.build(name, {**config, "pairs": {"source": str(path)}})
    turned = task.pairs("fit")
    assert [(p.question_id, p.messages, p.positive) for p in turned] == [
        (p.question_id, p.messages, p.negative) for p in made[:-1]
    ]
    (note,) = task.notes()
    assert f"{len(rows) - 1} wrong solutions called positive" in note
    with pytest.raises(ConfigError, match="no contrast pairs for the split 'select'"):
        task.pairs("select")


def test_pairs_are_in_keys_of_fits_and_in_none_of_cells_without_one(source, tmp_path) -> None:
    def keys(**pairs: Any) -> tuple[str, str]:
        model = ModelSpec(id="bundled:smollm2-135m-instruct", device="cpu")
        planner = Planner(recipe="r", name="n", model=model)
        config = {"count": 60, **({"pairs": pairs} if pairs else {})}
        task = planner.fit_on = Component(name="arithmetic", config=config)
        plain, steered = (
            planner.add_cell(
                condition=name, role="treatment", task=task, split="test",
                intervention=Component(name=name, config=given),
            )
            for name, given in (("none", {}), ("caa", {"layer": 3, "strength": 1}))
        )  # fmt: skip
        return plain.key, steered.artifacts["vector"]

    usual = keys()
    assert keys(source="corrupted") == keys(seed=0) == usual
    other = keys(seed=1)
    assert other[0] == usual[0] and other[1] != usual[1]


def test_every_pair_of_made_up_arithmetic_is_right_against_wrong() -> None:
    task = TASKS.build("arithmetic", {"count": 80, "steps": 1})
    pairs = task.pairs("fit")
    targets = {sample.id: sample.target for sample in task.samples("fit")}
    assert {pair.question_id for pair in pairs} == targets.keys()
    for pair in pairs:
        final = targets[pair.question_id]
        assert final is not None
        assert is_right(pair.positive, final) and is_wrong(pair.negative, final)
