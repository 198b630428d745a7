"""Corrupted solutions: one result is wrong, all else follows from it, and the answer is wrong."""

import json
import re
from pathlib import Path

import pytest

from trimtab.datasets.corruption import corrupted, is_right, is_wrong
from trimtab.datasets.problems import Problem, make_problem
from trimtab.tasks.base import TASKS
from trimtab.text.answers import EXTRACTORS
from trimtab.text.tolerance import Tolerance

_MARK = re.compile(r"<<([\d.+*/()-]+)=([\d.]+)>>")
_LINE = re.compile(r"^([\d +*-]+) = (\d+)$", re.M)


def problem(question: str, solution: str) -> Problem:
    return make_problem({"question": question, "answer": solution}, "here")


def wrong_steps(text: str, equation: re.Pattern[str]) -> int:
    """Return how many equations do not come out, by Python's own arithmetic."""
    found = equation.findall(text)
    return sum(abs(eval(left) - float(right)) > 1e-9 for left, right in found)


@pytest.mark.parametrize("seed", [0, 1])
def test_one_step_of_made_up_arithmetic_is_wrong_and_the_rest_follows(seed: int) -> None:
    task = TASKS.build("arithmetic", {"count": 120, "steps": 3, "operations": ["+", "-", "*"]})
    followed = 0
    for sample in task.samples("fit"):
        right = str(sample.metadata["solution"])
        item = problem(str(sample.metadata["question"]), right.replace("The answer is", "####"))
        wrong = corrupted(item, seed)
        assert wrong is not None and wrong == corrupted(item, seed)
        assert re.sub(r"\d", "", wrong) == re.sub(r"\d", "", item.solution)
        assert abs(len(wrong) - len(item.solution)) <= 12
        assert is_wrong(wrong, item.final) and is_right(item.solution, item.final)
        assert wrong_steps(wrong, _LINE) == 1 and wrong_steps(item.solution, _LINE) == 0
        last = _LINE.findall(wrong)[-1][1]
        assert wrong.endswith(f"#### {last}")
        followed += wrong.splitlines()[0] != item.solution.splitlines()[0]
    assert followed > 5, "the first step is wrong as well as later ones"


def test_real_solutions_keep_their_form(shared_data: Path) -> None:
    lines = (shared_data / "gsm8k" / "train.jsonl").read_text().splitlines()[:300]
    items = [make_problem(json.loads(line), "here") for line in lines]
    inner = 0
    for item in items:
        wrong = corrupted(item)
        assert wrong is not None, item.question
        assert is_right(item.solution, item.final)
        for extract in EXTRACTORS.values():
            assert extract(wrong).answer is not None
        assert is_wrong(wrong, item.final)
        assert re.sub(r"[\d,.]", "", wrong) == re.sub(r"[\d,.]", "", item.solution)
        assert abs(len(wrong) - len(item.solution)) <= 12
        same = [a == b for a, b in zip(wrong.splitlines(), item.solution.splitlines(), strict=True)]
        assert not same[-1] and False in same
        inner += same.count(False) > 2
        if wrong_steps(item.solution, _MARK) == 0:
            assert wrong_steps(wrong, _MARK) <= 1
    assert inner > 60, "many mistakes are made before the last step"


@pytest.mark.parametrize(
    ("solution", "tolerance"),
    [
        ("8", None),
        ("#### 0", None),
        ("#### -5", None),
        ("It is 1,250.\n#### 1,250", None),
        ("#### 10.5", Tolerance(rule="relative", value=0.2)),
        # what is rounded on the way to the answer can't be carried on
        ("10/3 = <<10/3=3.3>>3.3, so 3.\n#### 3", None),
    ],
)
def test_an_answer_without_steps_becomes_another(
    solution: str, tolerance: Tolerance | None
) -> None:
    item = problem("How many?", solution)
    wrong = corrupted(item, 3, tolerance)
    assert wrong is not None and is_wrong(wrong, item.final, tolerance)
    assert len(wrong) == len(solution)


def test_what_has_no_wrong_version_is_none() -> None:
    bare = Problem(id="a", question="How many?", solution="five", final="5")
    assert corrupted(bare) is None
    near = Problem(id="a", question="How many?", solution="5", final="5")
    assert corrupted(near, 0, Tolerance(rule="relative", value=0.99)) is None
