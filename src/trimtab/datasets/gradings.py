"""Answers that are there already, in a conversation that asks for their grade.

The conversation is that in which a model is trained to grade itself: task, answer, request.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from trimtab.core.keys import content_key
from trimtab.core.types import Message, Rendering, Sample
from trimtab.datasets.corruption import corrupted
from trimtab.datasets.problems import Problem


@dataclass(frozen=True)
class Request:
    """How a grade is asked for.

    Attributes:
        text: What is said behind the answer.
        scale: Which grades there are: see ``trimtab.text.grades.SCALES``.
        system: A system text in front, or nothing.
        source: Whose answer it is; the model is not told.
        rendering: How the task's messages become prompts.
    """

    text: str
    scale: str
    system: str
    source: str
    rendering: Rendering


def grading(sample: Sample, answer: str, worth: float | None, request: Request) -> Sample:
    """Return the sample that asks for a grade of ``answer``.

    Args:
        sample: What was answered; its id stays.
        answer: The answer.
        worth: What it is worth, from 0 to 1; None is not known.
        request: How a grade is asked for.
    """
    system = (Message(role="system", content=request.system),) if request.system else ()
    *before, question = sample.messages
    asked: tuple[Message, ...] = (
        question,
        Message(role="assistant", content=answer),
        Message(role="user", content=request.text),
    )
    if request.rendering == "verbatim":
        text = f"{question.content}{answer}\n\n{request.text}"
        asked = (Message(role="user", content=text),)
    return Sample(
        id=sample.id,
        messages=(*system, *before, *asked),
        cluster=sample.cluster,
        preamble=sample.preamble,
        metadata={
            "answer": answer,
            "source": request.source,
            "worth": worth,
            "grade_scale": request.scale,
        },
    )


def gold_answers(samples: Sequence[Sample]) -> dict[str, str]:
    """Return the target of each sample that has one, by its id."""
    return {s.id: s.target for s in samples if s.target is not None}


def corrupted_answers(samples: Sequence[Sample]) -> dict[str, str]:
    """Return a wrong answer for each sample that has a target, by its id.

    It is one of the metadata ``incorrect_answers``; else a number with another digit; else the
    target of another sample. Which one is drawn by hashing.
    """
    gold = gold_answers(samples)
    found = {}
    for sample in samples:
        if sample.id in gold:
            text = _wrong(sample, gold)
            if text is not None:
                found[sample.id] = text
    return found


def _wrong(sample: Sample, gold: Mapping[str, str]) -> str | None:
    target = gold[sample.id]
    listed = sample.metadata.get("incorrect_answers")
    wrong = [x for x in listed if isinstance(x, str)] if isinstance(listed, list) else []
    if not wrong and any(char.isdigit() for char in target) and len(target.split()) == 1:
        problem = Problem(id=sample.id, question="", solution=target, final=target)
        changed = corrupted(problem)
        wrong = [] if changed is None else [changed]
    if not wrong:
        wrong = [text for text in gold.values() if text != target]
    return min(wrong, key=lambda text: content_key([sample.id, text]), default=None)
