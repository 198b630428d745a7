"""The data of the answers browser, and how it gets into a page without getting out of its script.

Model output is hostile until proven otherwise: it may hold ``</script>`` or an event handler. It
enters the page only as JSON whose ``<``, ``>`` and ``&`` are escaped, and the page's script writes
it with ``textContent`` alone.

Of a large run it holds the answers to some questions, see ``data.answers``, and says of how many.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from trimtab.core.spec import RESULTS
from trimtab.core.types import Sample
from trimtab.reports.data.answers import MAX_BYTES, Answers
from trimtab.reports.data.blocks import Block, ConditionRows
from trimtab.reports.data.metrics import MetricRef

_ESCAPES = {ord("<"): "\\u003c", ord(">"): "\\u003e", ord("&"): "\\u0026"}


def to_script(data: Any) -> str:
    """Return ``data`` as ASCII JSON that no HTML parser can leave."""
    return json.dumps(data, separators=(",", ":"), allow_nan=False).translate(_ESCAPES)


def browser_data(
    blocks: Iterable[Block], baseline: str, first: Iterable[str], max_bytes: int = MAX_BYTES
) -> list[dict[str, Any]]:
    """Return, for each measure with texts, questions with the answers of every condition.

    ``first`` names the conditions that are shown before the reader has chosen any. Questions are
    left out where all of them would take more than ``max_bytes``, which may be less than what
    answers are kept for; ``total`` says how many there are.

    An answer is ``[text | None, finish reason | None, error | None, [value | None, ...]]``, values
    in the order of the measure's metrics; a completion that is missing is ``None``.
    """
    wanted = set(first)
    shown = [(block, block.answers) for block in blocks if block.answers is not None]
    return [
        {
            "name": block.name,
            "baseline": baseline,
            "conditions": list(block.conditions),
            "initial": [i for i, label in enumerate(block.conditions) if label in wanted],
            "metrics": [
                {
                    "id": ref.id,
                    "kind": ref.metric.kind,
                    "good": ref.metric.higher_is_better,
                    "damage": ref.metric.role == "damage",
                }
                for ref in _ordered(block.metrics)
            ],
            "questions": _questions(block, answers, max_bytes // len(shown)),
            "total": len(block.samples),
        }
        for block, answers in shown
    ]


def _ordered(metrics: list[MetricRef]) -> list[MetricRef]:
    """Return verdicts first: they are what a reader filters by."""
    rank = {"binary": 0, "fraction": 1, "number": 2}
    return sorted(metrics, key=lambda ref: (ref.metric.role not in RESULTS, rank[ref.metric.kind]))


def _questions(block: Block, answers: Answers, max_bytes: int) -> list[dict[str, Any]]:
    """Return as many questions as fit, in their order: all, or those whose ids hash lowest."""
    columns = [block.metrics.index(ref) for ref in _ordered(block.metrics)]
    kept: dict[str, dict[str, Any]] = {}
    size = 0
    for id in sorted(block.samples, key=answers.rank):
        question = _question(block, answers, block.samples[id], columns)
        size += len(to_script(question)) + 1
        if kept and size > max_bytes:
            break
        kept[id] = question
    return [kept[id] for id in block.samples if id in kept]


def _question(
    block: Block, answers: Answers, sample: Sample, columns: Sequence[int]
) -> dict[str, Any]:
    category = sample.metadata.get("category")
    return {
        "id": sample.id,
        "category": category if isinstance(category, str) else "",
        "text": question_text(sample),
        "correct": _references(sample, correct=True),
        "incorrect": _references(sample, correct=False),
        "answers": [
            _answers(rows, answers, sample.id, columns) for rows in block.conditions.values()
        ],
    }


def question_text(sample: Sample) -> str:
    """Return what was asked, without few-shot examples where the task kept it apart."""
    question = sample.metadata.get("question")
    return question if isinstance(question, str) else sample.messages[-1].content


def _references(sample: Sample, *, correct: bool) -> list[str]:
    kept = sample.metadata.get("correct_answers" if correct else "incorrect_answers")
    listed = [str(answer) for answer in kept] if isinstance(kept, list) else []
    choices = [choice.text for choice in sample.choices if choice.correct == correct]
    target = [sample.target] if correct and sample.target is not None else []
    return list(dict.fromkeys([*target, *(listed or choices)]))


def _answers(
    rows: ConditionRows, answers: Answers, sample: str, columns: Sequence[int]
) -> list[Any]:
    shown: list[Any] = []
    for cell in rows.cells:
        for index in range(cell.num_samples):
            answer = answers.get(cell.key, sample, index)
            if answer is None:
                shown.append(None)
                continue
            values = rows.rows[cell.key].values_NM[answer.row, columns].tolist()
            short = [None if value != value else float(f"{value:.4g}") for value in values]
            shown.append([answer.text, answer.finish_reason, answer.error, short])
    return shown
