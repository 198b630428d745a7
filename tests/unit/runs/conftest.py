"""A small plan with its data, and processes that work on the same run."""

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from trimtab.core.plan import Cell, JudgePlan, Plan
from trimtab.core.spec import Component, ModelSpec
from trimtab.core.types import ContrastPair, Message, Sample

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def parts() -> dict[str, Any]:
    """Return the arguments of ``Run.create`` beside the folder."""
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


@pytest.fixture
def start() -> Iterator[Start]:
    """Return a function that starts a Python program and can talk to it; all end with the test."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    running: list[subprocess.Popen[str]] = []

    def run(code: str, *arguments: str | Path | int) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        running.append(process)
        return process

    yield run
    for process in running:
        process.kill()
        process.communicate()
