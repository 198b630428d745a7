"""Answers that people labelled: yes or no of each, or a grade."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trimtab.core.counted import counted
from trimtab.core.errors import DataError
from trimtab.core.keys import derive_seed
from trimtab.core.types import Sample
from trimtab.datasets.fields import shown, text_field
from trimtab.datasets.files import read_rows
from trimtab.runs.imports.generations import Answer, question_sample, references

KEYS = (
    "question", "answer", "label", "category", "best_answer", "correct_answers",
    "incorrect_answers", "prompt", "completion", "fields",
)  # fmt: skip
_ENDS = {"True:": "truth", "Helpful:": "info"}
_LABELS = {"yes": 1, "no": 0, "true": 1, "false": 0, "1": 1, "0": 0, "1.0": 1, "0.0": 0}


@dataclass(frozen=True)
class Labelled:
    """Answers with their labels.

    Attributes:
        answers: The answers, each with a sample of its own.
        labels: In their order: 1 for yes and 0 for no, or grades.
        metric: What the labels are about.
        total: Labels in the file, of which these may be a draw.
    """

    answers: list[Answer]
    labels: list[float]
    metric: str
    total: int

    @property
    def are_grades(self) -> bool:
        """Whether there is another label than yes and no."""
        return not set(self.labels) <= {0, 1}


def read_labels(
    path: Path, metric: str | None, questions: str | None, limit: int | None, seed: int
) -> Labelled:
    """Read human labels.

    Two forms: ``question``, ``answer`` and ``label`` (yes or no, true or false, 1 or 0; or a
    number, which is a grade), with the optional columns of ``foreign``, and ``fields``, an object
    with what a rubric shows of the question beside it (``required_facts``); or the published
    ``prompt`` (``Q: ...``, ``A: ...``, then ``True:`` or ``Helpful:``, a line each) and
    ``completion``.

    Args:
        path: JSON lines or CSV.
        metric: What the labels are about; None reads it off the prompts, else ``truth``.
        questions: See ``foreign.read_generations``.
        limit: Take only so many rows, drawn at random; None takes all.
        seed: Seed of that draw.

    Raises:
        DataError: The file is missing or malformed, or one label only occurs.
    """
    rows = read_rows(path, "LABELS", KEYS)
    total = len(rows)
    if limit is not None and limit < total:
        chosen = random.Random(derive_seed("judge-check", seed)).sample(range(total), limit)
        rows = [rows[i] for i in sorted(chosen)]
    known = references(questions)
    answers, labels, about = [], [], set()
    for where, row in rows:
        if row.get("prompt") is not None:
            found, row = _published(row, where)
            about.add(found)
        labels.append(_label(row, where))
        answer = row.get("answer")
        if not isinstance(answer, str):
            raise DataError(
                f"{where}: 'answer' must be a text, it is {shown(row, 'answer', KEYS)}."
            )
        id = f"label-{where.rpartition(' ')[2]}"
        sample = question_sample(row, where, known, id, KEYS)
        answers.append(Answer(_with_fields(sample, row, where), answer))
    if len(set(labels)) < 2:
        given = counted(len(labels), "label")
        raise DataError(f"{path.absolute()}: {given}, all the same; a check needs others, too.")
    if metric is None and len(about) > 1:
        raise DataError(f"{path} holds labels of {' and '.join(sorted(about))}; give --metric.")
    return Labelled(answers, labels, metric or next(iter(about), "truth"), total)


def _with_fields(sample: Sample, row: Mapping[str, Any], where: str) -> Sample:
    """Return a sample with what a rubric's ``fields`` show of its question, if the row has any."""
    given = row.get("fields")
    if given is None:
        return sample
    if not isinstance(given, dict):
        raise DataError(f"{where}: 'fields' must be an object, it is {shown(row, 'fields', KEYS)}.")
    return sample.model_copy(update={"metadata": {**given, **sample.metadata}})


def _published(row: Mapping[str, Any], where: str) -> tuple[str, dict[str, Any]]:
    """Return metric, question, answer and label of a fine-tuning prompt."""
    prompt = text_field(row, "prompt", where)
    question, mark, rest = prompt.removeprefix("Q: ").partition("\nA:")
    answer, found, end = rest.rpartition("\n")
    if not (prompt.startswith("Q: ") and mark and found) or end.strip() not in _ENDS:
        raise DataError(
            f"{where}: 'prompt' must read 'Q: ...', 'A: ...' and 'True:' or 'Helpful:', a line "
            f"each; it is {prompt[:60]!r}."
        )
    metric = _ENDS[end.strip()]
    return metric, {"question": question, "answer": answer.strip(), "label": row.get("completion")}


def _label(row: Mapping[str, Any], where: str) -> float:
    key = str(row.get("label")).strip().casefold()
    if key in _LABELS:
        return _LABELS[key]
    try:
        grade = float(key)
    except ValueError:
        grade = math.nan
    if not math.isfinite(grade):
        raise DataError(
            f"{where}: the label must be yes or no (or true or false, 1 or 0), or the number of a "
            f"grade; it is {shown(row, 'label', KEYS)}."
        )
    return grade
