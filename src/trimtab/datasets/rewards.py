"""Results of another script that trained by rewards: ``all_results.json``, and its checkpoints.

The form of the code of Africa and Ting (arXiv 2511.23092): ``{"seed_42": {model: {task: {condition:
[result]}}}}``, a result with the lists ``rewards``, ``accuracies`` and ``grades``, a number per
round. A checkpoint, ``checkpoint_seed42_<model>.json``, is the part of one seed and model. A grade
that could not be read stands there as 0, and the control, which is asked for none, has zeros only;
with ``graded`` in a result, as it is written here, its grades are grades.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trimtab.core.errors import DataError
from trimtab.datasets.files import read_json

CONDITIONS = ("control", "selfgrade", "honest")
UNGRADED = "control"
_LISTS = ("rewards", "accuracies", "grades")
_SEED = re.compile(r"(?:seed_?)?(\d{1,18})")
_CHECKPOINT = re.compile(r"checkpoint_seed(\d{1,18})_(.+)\.json")


@dataclass(frozen=True)
class Result:
    """What one run left.

    Attributes:
        seed: Its seed.
        model: Its base.
        task: What it answered.
        condition: What was rewarded.
        rounds: Reward, accuracy and grade of each round; no grade is None. Empty: it left nothing.
        episodes: Results under the same seed; the first is meant.
    """

    seed: int
    model: str
    task: str
    condition: str
    rounds: tuple[tuple[float, float, float | None], ...]
    episodes: int


def read_results(path: Path) -> list[Result]:
    """Return the runs of a file, in its order.

    Raises:
        DataError: The file can't be read, or is of another form.
    """
    found = read_json(path, "the file")
    where = str(path.absolute())
    named = _CHECKPOINT.fullmatch(path.name)
    if named is not None:
        found = {named[1]: {named[2].replace("_", "/", 1): found}}
    results = [
        Result(_seed(seed, where), model, task, condition, *_rounds(listed, condition, place))
        for seed, models in _objects(found, where)
        for model, tasks in _objects(models, f"{where}: {seed}")
        for task, conditions in _objects(tasks, f"{where}: {seed}, {model}")
        for condition, listed in _objects(conditions, f"{where}: {seed}, {model}, {task}")
        for place in [_known(condition, f"{where}: {seed}, {model}, {task}, {condition}")]
    ]
    if not any(result.rounds for result in results):
        raise DataError(f"{where} holds no results.")
    return results


def results_text(results: Sequence[Result]) -> str:
    """Return the text of ``all_results.json``; a run without rounds is an empty list.

    A grade of None is written as 0, as the form has it; where all are, the result is no ``graded``.
    """
    found: dict[str, dict[str, dict[str, dict[str, list[dict[str, Any]]]]]] = {}
    for result in results:
        tasks = found.setdefault(f"seed_{result.seed}", {}).setdefault(result.model, {})
        listed = tasks.setdefault(result.task, {}).setdefault(result.condition, [])
        if result.rounds:
            rewards, accuracies, grades = zip(*result.rounds, strict=True)
            graded = any(grade is not None for grade in grades)
            lists = (rewards, accuracies, [0.0 if grade is None else grade for grade in grades])
            named = dict(zip(_LISTS, map(list, lists), strict=True))
            listed.append({**named, "seed": result.seed, "graded": graded})
    return json.dumps(found, indent=1, ensure_ascii=False) + "\n"


def _objects(value: Any, where: str) -> Iterator[tuple[str, Any]]:
    if not isinstance(value, Mapping):
        raise DataError(
            f"{where}: must be an object, it is {str(value)[:40]!r}.",
            hint="The form is {seed: {model: {task: {condition: [result]}}}}.",
        )
    yield from value.items()


def _seed(name: str, where: str) -> int:
    found = _SEED.fullmatch(name)
    if found is None:
        raise DataError(f"{where}: {name!r} is no seed; seeds are written 42 or seed_42.")
    return int(found[1])


def _known(condition: str, where: str) -> str:
    if condition not in CONDITIONS:
        raise DataError(f"{where}: the condition must be one of {', '.join(CONDITIONS)}.")
    return where


def _rounds(
    listed: Any, condition: str, where: str
) -> tuple[tuple[tuple[float, float, float | None], ...], int]:
    """Return the rounds of the first result, and how many results there are."""
    if not isinstance(listed, list):
        raise DataError(f"{where}: must be a list of results, it is {str(listed)[:40]!r}.")
    if not listed:
        return (), 0
    result = listed[0]
    if not isinstance(result, Mapping) or not all(
        isinstance(result.get(name), list) for name in _LISTS
    ):
        raise DataError(f"{where}: a result must have the lists {', '.join(_LISTS)}.")
    columns = [[_number(x, f"{where}, {name}") for x in result[name]] for name in _LISTS]
    sizes = [len(column) for column in columns]
    if len(set(sizes)) > 1 or not sizes[0]:
        raise DataError(f"{where}: {', '.join(_LISTS)} have {sizes} numbers: one for each round.")
    graded = condition != UNGRADED or result.get("graded") is True
    rounds = tuple(
        (reward, true, grade if graded else None)
        for reward, true, grade in zip(*columns, strict=True)
    )
    return rounds, len(listed)


def _number(value: Any, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise DataError(f"{where}: {value!r} is no finite number.")
    return float(value)
