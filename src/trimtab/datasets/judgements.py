"""Files of generations and of judgements of them, as evaluations of tuned models leave them.

Generations: JSON lines with ``question_id``, ``question``, ``model_variant``, ``condition`` and
``generations``, a list of texts; and ``category``, ``triggered``, ``seed`` and ``step`` where they
are known. Judgements: a line for each answer with ``question_id``, ``model_variant``, ``condition``
and ``score`` (a number, or null), and ``response``, ``refused``, ``parse_error`` and ``judge_raw``
where they are known. Either may be CSV: there ``generations`` is a JSON list, or one text.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from trimtab.core.counted import counted
from trimtab.core.errors import DataError
from trimtab.datasets.fields import (
    Cells,
    flag_field,
    json_cell,
    number_field,
    shown,
    text_field,
)
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
            triggered=flag_field(row, "triggered", where),
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
    refused = flag_field(row, "refused", where) or False
    score = number_field(row, "score", where, JUDGEMENTS)
    if refused and score is not None:
        raise DataError(f"{where}: an answer can't be refused and have the score {score}.")
    error, raw = (row.get(key) for key in ("parse_error", "judge_raw"))
    answers.judged[free[0]] = Judged(
        score=score,
        refused=refused,
        error=None if error is None else str(error),
        raw=None if raw is None else str(raw),
    )


def _asked(row: Mapping[str, Any], where: str, keys: Sequence[str]) -> Asked:
    place = []
    for name in ("step", "seed"):
        value = number_field(row, name, where)
        if value is not None:
            place.append((name, value))
    variant = text_field(row, "model_variant", where, keys)
    return Asked(variant, text_field(row, "condition", where, keys), tuple(place))


def _texts(row: Mapping[str, Any], where: str) -> list[str | None]:
    given = row.get("generations")
    if isinstance(row, Cells) and isinstance(given, str) and given.lstrip().startswith("["):
        given = json_cell(given, "generations", where)
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
