"""Honesty checks fail on what they are there for, and missing rows never pass."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from trimtab.core.errors import CheckError
from trimtab.core.plan import DataRef, FitPlan, Plan
from trimtab.core.records import read_json
from trimtab.core.spec import Component, Metric, ModelSpec
from trimtab.core.types import Completion, ContrastPair, Message, Sample, Score
from trimtab.runs.store.run import Run
from trimtab.runs.work import checks

Make = Callable[..., Run]


@pytest.fixture
def make(tmp_path: Path, parts: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Make:
    """Return a function that makes a run with a baseline and a strength-0 cell of 3 samples."""
    monkeypatch.setenv("TRIMTAB_HOME", str(tmp_path / "home"))
    base = parts["plan"].cells[0].model_copy(update={"num_samples": 1})
    zero = base.model_copy(update={"key": "cell-0", "condition": "caa +0", "role": "zero"})
    metric = Metric(name="exact", kind="binary", role="effect")
    judge = parts["plan"].judges[0].model_copy(update={"metrics": (metric,)})

    def make(name: str = "run", **plan: Any) -> Run:
        data = {**parts["data"], **plan.pop("data", {})}
        config = {**parts["config"], "seed": plan.get("seed", 0)}
        changes = {"recipe": "r", "name": "n", "cells": (base, zero), "judges": (judge,), **plan}
        filled = Plan.single(**changes)
        return Run.create(tmp_path / name, config, filled, data)

    return make


def fill(run: Run, cell: str, **changes: Any) -> None:
    """Write the completions of a cell; ``changes`` apply to sample a, None leaves it out."""
    with run.completion_writer(1, cell) as writer:
        for sample in ("a", "b", "c"):
            row = Completion(
                cell=cell, sample_id=sample, protocol="p", num_prompt_tokens=3, text="yes",
                num_tokens=2, finish_reason="eos",
            )  # fmt: skip
            if sample == "a":
                if changes.get("text", "") is None:
                    continue
                row = row.model_copy(update=changes)
            writer.append([row])


def status(run: Run, name: str) -> str:
    (check,) = [c for c in checks.read(run) if c.name.startswith(name)]
    return check.status


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "pass"),
        ({"text": "yes "}, "fail"),
        ({"num_tokens": 3}, "fail"),
        ({"finish_reason": "length"}, "fail"),
        # nothing is known of a row that is not there, which is told as missing
        ({"text": None}, "warn"),
    ],
)
def test_strength_zero_must_equal_the_baseline_row_by_row(
    make: Make, changes: dict[str, Any], expected: str
) -> None:
    run = make()
    fill(run, "cell-1")
    fill(run, "cell-0", **changes)
    checks.after_generate(run)
    assert status(run, "strength 0") == expected
    missing = changes.get("text", "") is None
    assert (status(run, "all rows present") == "fail") == missing


@pytest.mark.parametrize(
    ("value", "shift", "expected"),
    [
        (-2.0, 5e-5, "pass"),
        (-2.0, 5e-3, "fail"),
        (-327.3, 1e-3, "pass"),  # the sum over a passage of a hundred tokens
        (-327.3, 1e-2, "fail"),
    ],
)
def test_strength_zero_of_options_may_differ_by_rounding_alone(
    make: Make, value: float, shift: float, expected: str
) -> None:
    run = make()
    fill(run, "cell-1", option_logprobs=(-1.0, value))
    fill(run, "cell-0", option_logprobs=(-1.0, value + shift))
    checks.after_generate(run)
    assert status(run, "strength 0") == expected


@pytest.mark.parametrize(
    ("spec", "changes", "expected"),
    [
        ({"dtype": "bfloat16"}, {"text": "yes "}, "warn"),
        ({"dtype": "float16"}, {"option_logprobs": (-1.0, -2.1)}, "warn"),
        ({"dtype": "float32", "quantization": "8bit"}, {"text": "yes "}, "warn"),
        ({"dtype": "float32", "quantization": "4bit"}, {"text": "yes "}, "fail"),
        ({"dtype": "bfloat16"}, {}, "pass"),
        ({"dtype": "bfloat16"}, {"text": None}, "warn"),
    ],
)
def test_where_the_batch_matters_a_difference_from_strength_zero_is_a_warning(
    make: Make, spec: dict[str, Any], changes: dict[str, Any], expected: str
) -> None:
    base, zero = make("float32").plan.cells
    model = ModelSpec.model_validate({"id": "tiny", **spec})
    cells = tuple(cell.model_copy(update={"model": model}) for cell in (base, zero))
    run = make(cells=cells)
    fill(
        run, "cell-1", **({"option_logprobs": (-1.0, -2.0)} if "option_logprobs" in changes else {})
    )
    fill(run, "cell-0", **changes)
    checks.after_generate(run)
    assert status(run, "strength 0") == expected


def test_no_row_at_all_is_a_failure(make: Make) -> None:
    run = make()
    checks.after_generate(run)
    checks.after_score(run)
    for name in ("all rows present", "scored by"):
        assert status(run, name) == "fail", name
    assert status(run, "strength 0") == "warn", "nothing could be compared"
    with pytest.raises(CheckError, match=r"all rows present") as error:
        checks.require(run)
    assert "0 of 6 rows" in str(error.value)


def test_a_row_with_an_error_is_a_warning(make: Make) -> None:
    run = make()
    fill(run, "cell-1", error="too long", finish_reason="error")
    fill(run, "cell-0")
    checks.after_generate(run)
    assert status(run, "all rows present") == "warn"


@pytest.mark.parametrize(
    ("unscored", "reason", "expected"),
    [
        (0, None, "pass"),
        (1, None, "warn"),
        (2, None, "fail"),
        # nothing went wrong: the judge says that there is nothing to score
        (1, "no letters", "pass"),
        (3, "no letters", "warn"),
    ],
)
def test_unscored_completions_are_counted_against_all(
    make: Make, unscored: int, reason: str | None, expected: str
) -> None:
    run = make()
    fill(run, "cell-1")
    fill(run, "cell-0")
    for cell in ("cell-1", "cell-0"):
        with run.score_writer(1, "exact-1", cell) as writer:
            for i, sample in enumerate(("a", "b", "c")):
                value = None if cell == "cell-1" and i < unscored else 1.0
                row = Score(
                    cell=cell,
                    sample_id=sample,
                    judge="exact-1",
                    values={"exact": value},
                    reason=reason,
                )
                writer.append([row])
    checks.after_score(run)
    assert status(run, "scored by exact-1") == expected


@pytest.mark.parametrize(
    ("asked", "question", "expected"),
    [
        ("WHY", "", "fail"),
        ("How?", "", "pass"),
        ("Why? Answer with the number alone.", "Why?", "fail"),
    ],
)
def test_a_question_that_was_fitted_on_may_not_be_tested(
    make: Make, asked: str, question: str, expected: str
) -> None:
    pair = ContrastPair(
        id="p", question_id="x", messages=(Message(role="user", content=asked),),
        positive="+", negative="-", question=question,
    )  # fmt: skip
    read = DataRef(kind="pairs", key="pairs-1", split="fit", rendering="chat")
    fit = FitPlan(
        key="k", component=Component(name="caa"), model=ModelSpec(id="tiny"), model_identity="m",
        inputs={"pairs": read}, artifacts={"vector": "k"},
    )  # fmt: skip
    run = make(fits=(fit,), data={"pairs": {"pairs-1": [pair]}})
    checks.after_plan(run)
    assert status(run, "splits disjoint") == expected


def test_the_second_experiment_to_open_a_test_split_is_told(make: Make) -> None:
    first, again, second = make("first"), make("again"), make("second", seed=1)
    for run, expected in [(first, "pass"), (first, "pass"), (again, "pass"), (second, "warn")]:
        checks.after_generate(run)
        assert status(run, "test split opened once") == expected


def test_checks_stand_in_the_order_of_the_phases_and_are_replaced(make: Make) -> None:
    run = make()
    checks.after_score(run)
    checks.after_plan(run)
    checks.after_plan(run)
    assert [c.name for c in checks.read(run)] == ["splits disjoint", "scored by exact-1"]


def test_what_a_template_asks_is_compared_by_its_question(make: Make) -> None:
    wrapped = Sample(
        id="a",
        messages=(Message(role="user", content="Which? (A) x (B) y. Why?"),),
        metadata={"question": "Why?"},
    )
    assert checks._question(wrapped) == "Why?"


def test_checks_of_phases_that_several_workers_end_at_once_are_all_kept(make: Make) -> None:
    run = make()
    record = (checks.after_plan, checks.after_generate, checks.after_score)
    rounds = 30
    gate = threading.Barrier(len(record))

    def work(after: Callable[[Run], None]) -> None:
        mine = Run.open(run.dir)
        for _ in range(rounds):
            if gate.wait() == 0:
                (run.dir / "checks.json").unlink(missing_ok=True)
            gate.wait()
            after(mine)
            gate.wait()
            kept.add(tuple(read_json(run.dir / "checks.json")))

    kept: set[tuple[str, ...]] = set()
    workers = [threading.Thread(target=work, args=(after,)) for after in record]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert kept == {("generate", "plan", "score")}
