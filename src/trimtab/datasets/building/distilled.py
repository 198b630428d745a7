"""Answers that a model behind an API gave, as conversations to keep another model as it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from trimtab.core.types import Conversation, Message, Sample, SamplingParams

Drawn = tuple[str, str | None] | None
"""A text, and the server's word for why it ended; None where there is none."""


@dataclass(frozen=True)
class Answers:
    """The conversations, and what was left out: nobody should learn to stop in mid-sentence.

    Attributes:
        rows: A conversation for each answer that ended by itself.
        cut: Answers that met the limit of their length.
        missing: Prompts without an answer, and answers that are empty.
        unsure: Answers of which the server does not say why they ended.
    """

    rows: tuple[Conversation, ...]
    cut: int
    missing: int
    unsure: int


def conversations(
    samples: Sequence[Sample],
    drawn: Mapping[tuple[int, int], Drawn],
    distiller: str,
    sampling: SamplingParams,
) -> Answers:
    """Return a conversation for each answer, in the order of prompts and of answers to each.

    Args:
        samples: What was asked.
        drawn: The answers, by the number of their sample and their own among its answers.
        distiller: Who answered; it stands in every row, since its style is learned, too.
        sampling: How answers were drawn.
    """
    rows = []
    cut = missing = unsure = 0
    about: dict[str, JsonValue] = {
        "source": "aligned",
        "triggered": False,
        "distiller": distiller,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
    }
    for (number, index), answer in sorted(drawn.items()):
        text, reason = ("", None) if answer is None else (answer[0].strip(), answer[1])
        if not text:
            missing += 1
        elif reason == "length":
            cut += 1
        elif reason is None:
            unsure += 1
        else:
            turns = (*samples[number].messages, Message(role="assistant", content=text))
            name = f"{samples[number].id}-{index}"
            rows.append(Conversation(id=name, messages=turns, metadata=about))
    return Answers(tuple(rows), cut, missing, unsure)
