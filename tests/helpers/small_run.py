"""A small plan with its data: the arguments of ``Run.create`` beside the folder."""

from typing import Any

from trimtab.core.plan import Cell, JudgePlan, Plan
from trimtab.core.spec import Component, ModelSpec
from trimtab.core.types import ContrastPair, Message, Sample


def make_parts() -> dict[str, Any]:
    """Return configuration, plan of two cells and a judge, samples and a pair."""
    question = (Message(role="user", content="Why?"),)
    cell = Cell(
        key="cell-1",
        condition="baseline",
        role="baseline",
        measure="generation",
        model=ModelSpec(id="tiny"),
        model_identity="m",
        task=Component(name="truthfulqa", config={"variant": "generation"}),
        split="test",
        samples="set-1",
        output="text",
        intervention=Component(name="none"),
        num_samples=2,
    )
    other = cell.model_copy(update={"key": "cell-2", "samples": "set-2", "num_samples": 1})
    judge = JudgePlan(key="exact-1", component=Component(name="exact"), output="text", metrics=())
    samples = [Sample(id=i, messages=question) for i in ("b", "a", "c")]
    pair = ContrastPair(id="p", question_id="a", messages=question, positive="+", negative="-")
    return {
        "config": {"recipe": "matrix", "strengths": [0, 0.5, 1.0], "name": "é"},
        "plan": Plan.single(recipe="matrix", name="é", cells=(cell, other), judges=(judge,)),
        "data": {
            "samples": {"set-1": samples, "set-2": samples[:1]},
            "pairs": {"pairs-1": [pair]},
        },
    }
