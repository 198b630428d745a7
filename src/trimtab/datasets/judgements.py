"""Files of generations and of judgements of them, as evaluations of tuned models leave them.

Generations: JSON lines with ``question_id``, ``question``, ``model_variant``, ``condition`` and
``generations``, a list of texts; and ``category``, ``triggered``, ``seed`` and ``step`` where they
are known. Judgements: a line for each answer with ``question_id``, ``model_variant``, ``condition``
and ``score`` (a number, or null), and ``response``, ``refused``, ``parse_error`` and ``judge_raw``
where they are known.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from trimtab.core.counted import counted
from trimtab.core.errors import DataError
from trimtab.datasets.fields import shown, text_field
from trimtab.datasets.files import read_rows

GENERATIONS = (
    "question_id", "question", "model_variant", "condition", "generations", "category", "triggered",
    "seed", "step",
)  # fmt: skip
JUDGEMENTS = (
    "question_id", "model_variant", "condition", "score", "response", "refused", "parse_error",
    "judge_raw", "seed", "step",
)  # fmt: skip


class Asked(NamedTuple):
    """Which model was asked in which way: variant, condition, and seed and step where known."""

    variant: str
    condition: str
    place: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True)
class Judged:
    """What was said of one answer; all None where nobody judged it.

    Attributes:
        score: The grade.
        refused: Whether the answer was called a refusal.
        error: Why there is neither.
        raw: The judge's reply.
    """

    score: float | None
    refused: bool
    error: str | None
    raw: str | None


@dataclass
class Answers:
    """What one model answered to one question, in one way.

    Attributes:
        question: The question.
        category: Its category, if it has one.
        triggered: Whether the prompt had the trigger; None where the file does not say.
        texts: The answers, None where one is missing.
        judged: What was said of each; None where nothing was.
    """

    question: str
    category: str | None
    triggered: bool | None
    texts: list[str | None]
    judged: list[Judged | None] = field(default_factory=list)


Run = dict[Asked, dict[str, Answers]]
"""The answers of each model and way of asking, by the question's id, in the order of the file."""


def read_judged(generations: Path, judgements: Path) -> Run:
    """Return answers with what was said of them.

    Raises:
        DataError: A file is missing or malformed, a question was asked twice, or a judgement is of
            an answer that is not there.
    """
    found: Run = {}
    for where, row in read_rows(generations, "GENERATIONS", GENERATIONS):
        asked, id = _asked(row, where, GENERATIONS), text_field(row, "question_id", where)
        questions = found.setdefault(asked, {})
        if id in questions:
            raise DataError(f"{where}: {asked.variant!r} answers {id!r} a second time.")
        category = row.get("category")
        questions[id] = Answers(
            question=text_field(row, "question", where, GENERATIONS).strip(),
            category=None if category is None else text_field(row, "category", where),
            triggered=_flag(row, "triggered", where),
            texts=_texts(row, where),
        )
    taken: Counter[tuple[Asked, str]] = Counter()
    for where, row in read_rows(judgements, "JUDGEMENTS", JUDGEMENTS):
        asked, id = _asked(row, where, JUDGEMENTS), text_field(row, "question_id", where)
        answers = found.get(asked, {}).get(id)
        if answers is None:
            raise DataError(f"{where}: no generations of {asked.variant!r} for {id!r} are there.")
        _judge(answers, row, where)
        taken[asked, id] += 1
    if not taken:
        raise DataError(f"{judgements.absolute()} judges nothing.")
    return found


def _judge(answers: Answers, row: Mapping[str, Any], where: str) -> None:
    """Put a judgement beside the answer that it is of: the first equal one that has none."""
    answers.judged += [None] * (len(answers.texts) - len(answers.judged))
    said = row.get("response")
    free = [
        i
        for i, text in enumerate(answers.texts)
        if answers.judged[i] is None and (said is None or said == text)
    ]
    if not free:
        count = counted(len(answers.texts), "answer")
        raise DataError(
            f"{where}: the judged response is none of the {count} there, or was judged already."
        )
    refused = _flag(row, "refused", where) or False
    score = row.get("score")
    if score is not None and not _is_number(score):
        raise DataError(
            f"{where}: 'score' must be a number or null, it is {shown(row, 'score', JUDGEMENTS)}."
        )
    if refused and score is not None:
        raise DataError(f"{where}: an answer can't be refused and have the score {score}.")
    error, raw = (row.get(key) for key in ("parse_error", "judge_raw"))
    answers.judged[free[0]] = Judged(
        score=None if score is None else float(score),
        refused=refused,
        error=None if error is None else str(error),
        raw=None if raw is None else str(raw),
    )


def _asked(row: Mapping[str, Any], where: str, keys: Sequence[str]) -> Asked:
    place = []
    for name in ("step", "seed"):
        value = row.get(name)
        if value is not None:
            if not _is_number(value):
                shortened = shown(row, name)
                raise DataError(f"{where}: {name!r} must be a number, it is {shortened}.")
            place.append((name, float(value)))
    variant = text_field(row, "model_variant", where, keys)
    return Asked(variant, text_field(row, "condition", where, keys), tuple(place))


def _is_number(value: Any) -> bool:
    """Return whether a value is a number that a float holds."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) <= sys.float_info.max


def _texts(row: Mapping[str, Any], where: str) -> list[str | None]:
    given = row.get("generations")
    texts = given if isinstance(given, list) else [given]
    if (
        not texts
        or "generations" not in row
        or not all(text is None or isinstance(text, str) for text in texts)
    ):
        raise DataError(
            f"{where}: 'generations' must be a list of texts, it is "
            f"{shown(row, 'generations', GENERATIONS)}."
        )
    return texts


def _flag(row: Mapping[str, Any], key: str, where: str) -> bool | None:
    value = row.get(key)
    if value is not None and not isinstance(value, bool):
        raise DataError(f"{where}: {key!r} must be true or false, it is {value!r}.")
    return value
