"""Answers that trimtab did not generate, as a run that can be scored and reported like any other.

Form of a file of generations: JSON lines, or CSV, with ``question`` and ``answer`` (a text, or null
where there is none, which in CSV is an empty cell). Optional: ``condition`` (what gave the answer;
several make a comparison), ``num_tokens``, ``finish_reason``, ``category``, ``best_answer``,
``correct_answers`` and ``incorrect_answers``. Several answers of one condition to one question are
its samples, in order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from pydantic import JsonValue

from trimtab.core.errors import DataError, did_you_mean
from trimtab.core.keys import content_key
from trimtab.core.plan import Cell, Plan
from trimtab.core.spec import Component, ModelSpec
from trimtab.core.types import Completion, FinishReason, Message, Sample
from trimtab.datasets.fields import count_field, list_field, shown, text_field
from trimtab.datasets.files import read_rows
from trimtab.datasets.questions import Question
from trimtab.datasets.sources import read_questions
from trimtab.runs.plan.judges import IMPORTED
from trimtab.runs.store.create import is_run
from trimtab.runs.store.run import Run
from trimtab.text.overlap import normalise_question

PROTOCOL = "imported"
_MEASURE = "generation"
KEYS = (
    "question", "answer", "condition", "num_tokens", "finish_reason", "category", "best_answer",
    "correct_answers", "incorrect_answers",
)  # fmt: skip


@dataclass(frozen=True)
class Answer:
    """One imported answer.

    Attributes:
        sample: The question.
        text: The answer; None where there is none, which is an error and not an empty text.
        num_tokens: Its tokens; 0 where that is not known.
        finish_reason: Why it ended; ``unknown`` where the file does not say.
    """

    sample: Sample
    text: str | None
    num_tokens: int = 0
    finish_reason: FinishReason = "unknown"


def read_generations(path: Path, questions: str | None = None) -> dict[str, list[Answer]]:
    """Return the answers of each condition, in the order of the file.

    Args:
        path: See the module.
        questions: A source of the task ``truthfulqa`` that holds the same questions: gives right
            and wrong answers where the file does not.

    Raises:
        DataError: The file is missing, malformed or empty.
    """
    known = references(questions)
    found: dict[str, list[Answer]] = {}
    for where, row in read_rows(path, "FILE", KEYS):
        condition = "baseline" if row.get("condition") is None else row["condition"]
        if not isinstance(condition, str) or not condition:
            raise DataError(f"{where}: 'condition' must be a text, it is {condition!r}.")
        found.setdefault(condition, []).append(_answer(row, where, known))
    return found


def references(source: str | None) -> dict[str, Question]:
    """Return the questions of a source by their normalised text; empty without a source."""
    asked = [] if source is None else read_questions(source)
    return {normalise_question(item.question): item for item in asked}


def question_sample(
    row: Mapping[str, Any],
    where: str,
    known: Mapping[str, Question],
    id: str | None = None,
    accepted: Sequence[str] = KEYS,
) -> Sample:
    """Return the sample that a row of a file asks about; raise DataError if it is malformed."""
    question = text_field(row, "question", where, accepted).strip()
    own = f"q-{content_key(question, 12)}"
    metadata: dict[str, JsonValue] = {"question": question}
    item = known.get(normalise_question(question))
    if item is not None:
        metadata["category"] = item.category
        metadata["correct_answers"] = list(item.correct_answers)
        metadata["incorrect_answers"] = list(item.incorrect_answers)
    for key in ("correct_answers", "incorrect_answers"):
        if row.get(key) is not None:
            metadata[key] = [*list_field(row, key, where)]
    if row.get("category") is not None:
        metadata["category"] = text_field(row, "category", where)
    best = row.get("best_answer")
    return Sample(
        id=id or own,
        messages=(Message(role="user", content=question),),
        target=best if isinstance(best, str) else None if item is None else item.best_answer,
        cluster=own if id else None,
        metadata=metadata,
    )


def _answer(row: dict[str, Any], where: str, known: Mapping[str, Question]) -> Answer:
    text = row.get("answer")
    if "answer" not in row or not (text is None or isinstance(text, str)):
        raise DataError(
            f"{where}: 'answer' must be a text or null, it is {shown(row, 'answer', KEYS)}."
        )
    reason: Any = row.get("finish_reason") or ("unknown" if text is not None else "error")
    if reason not in get_args(FinishReason):
        near = did_you_mean(str(reason), get_args(FinishReason))
        raise DataError(f"{where}: 'finish_reason' is {reason!r}. {near}")
    tokens = count_field(row, "num_tokens", where)
    return Answer(question_sample(row, where, known), text, tokens, reason)


def create_run(
    dir: Path,
    name: str,
    conditions: Mapping[str, Sequence[Answer]],
    baseline: str,
    config: Mapping[str, Any],
) -> Run:
    """Make a run whose completions are ``conditions``, or find it again.

    Args:
        dir: A new or empty folder, or the folder of the same import.
        name: Name of the experiment.
        conditions: The answers of each condition.
        baseline: The condition that others are compared with.
        config: What to write down about the import; JSON types.

    Raises:
        DataError: There is no answer, or no such baseline.
        StoreError: The folder holds something else.
    """
    if not conditions:
        raise DataError(f"There is no answer to import for {name!r}.")
    if baseline not in conditions:
        raise DataError(
            f"There is no condition {baseline!r} to compare with. "
            f"{did_you_mean(baseline, conditions)}",
            hint="Name the baseline with --baseline.",
        )
    cells, samples, rows = [], {}, {}
    for condition, answers in conditions.items():
        cell, own, made = _cell(name, condition, answers, baseline)
        cells.append(cell)
        samples[cell.samples] = own
        rows[cell.key] = made
    plan = Plan.single(recipe=PROTOCOL, name=name, cells=cells, baseline=baseline)
    if is_run(dir) and Run.open(dir).plan.cells == plan.cells:
        return Run.open(dir)
    return Run.create(
        dir, {"recipe": PROTOCOL, "name": name, **config}, plan, {"samples": samples}, rows
    )


def _cell(
    name: str, condition: str, answers: Sequence[Answer], baseline: str
) -> tuple[Cell, list[Sample], list[Completion]]:
    """Return a condition's cell, its samples, and a row for every answer that there should be."""
    by_sample: dict[str, list[Answer]] = {}
    for answer in answers:
        by_sample.setdefault(answer.sample.id, []).append(answer)
    own = [group[0].sample for group in by_sample.values()]
    texts = [[a.sample.id, a.text, a.num_tokens, a.finish_reason] for a in answers]
    key = content_key([PROTOCOL, condition, texts, own])
    count = max(len(group) for group in by_sample.values())
    cell = Cell(
        key=key,
        condition=condition,
        role="baseline" if condition == baseline else "treatment",
        coordinates={"series": condition},
        measure=_MEASURE,
        model=ModelSpec(id=f"{IMPORTED}{name}", dtype="float32", device="cpu"),
        model_identity=content_key([PROTOCOL, name]),
        task=Component(name=PROTOCOL),
        split="test",
        samples=content_key(own),
        output="text",
        intervention=Component(name="none"),
        num_samples=count,
    )
    rows = [
        _completion(key, sample, index, group[index] if index < len(group) else None)
        for sample, group in by_sample.items()
        for index in range(count)
    ]
    return cell, own, rows


def _completion(cell: str, sample: str, index: int, answer: Answer | None) -> Completion:
    missing = answer is None or answer.text is None
    return Completion(
        cell=cell,
        sample_id=sample,
        index=index,
        protocol=PROTOCOL,
        num_prompt_tokens=0,
        text=None if answer is None else answer.text,
        num_tokens=0 if answer is None else answer.num_tokens,
        finish_reason="error" if answer is None or missing else answer.finish_reason,
        error="the imported file holds no answer here" if missing else None,
    )
