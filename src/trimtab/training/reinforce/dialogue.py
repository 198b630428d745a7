"""The one conversation of an episode: the task, the answer, the request for a grade, the grade.

What the model wrote stays as the tokens that it wrote; what the template puts around it is
tokenised apart, so a grade is asked for, and learned from, behind exactly those tokens.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from trimtab.core.types import Message, Rendering, Sample
from trimtab.engine.request import TextResult
from trimtab.models.chat import Renderer

_ANSWER = "theanswerstandshere"


class Dialogue:
    """Prompts of one run."""

    def __init__(
        self, renderer: Renderer, rendering: Rendering, request: str, system: str = ""
    ) -> None:
        """Take how messages become prompts, and what is said beside the task.

        Args:
            renderer: Of the model.
            rendering: Of the task.
            request: What asks for a grade.
            system: A system text, or nothing.

        Raises:
            ModelError: The template can't render a conversation of four turns.
        """
        self._renderer = renderer
        self._rendering = rendering
        self._system = (Message(role="system", content=system),) if system else ()
        self._ends = renderer.end_of_turn_ids()
        self._request = tuple(renderer.encode(self._request_text(request)))

    def task(self, sample: Sample) -> tuple[int, ...]:
        """Return the token ids up to where the answer begins."""
        messages = (*self._system, *sample.messages)
        return tuple(self._renderer.prompt(messages, self._rendering, sample.preamble))

    def request(self, answer: Sequence[int]) -> tuple[int, ...]:
        """Return the token ids between the end of an answer and where the grade begins."""
        ended = bool(answer) and answer[-1] in self._ends
        ends_turn = bool(self._request) and self._request[0] in self._ends
        return self._request[1:] if ended and ends_turn else self._request

    def _request_text(self, request: str) -> str:
        if self._rendering == "plain":
            return f"\n\nQ: {request}\nA:"
        if self._rendering == "verbatim":
            return f"\n\n{request}"
        turns = [{"role": m.role, "content": m.content} for m in self._system]
        turns += [
            {"role": "user", "content": "x"},
            {"role": "assistant", "content": _ANSWER},
            {"role": "user", "content": request},
        ]
        return self._renderer.template.text(turns).rpartition(_ANSWER)[2]


@dataclass(frozen=True)
class Written:
    """What a model wrote.

    Attributes:
        tokens: With the end-of-text token that ended it, but without those of a stop string.
        text: Without either.
        logprob: Sum over its tokens as they were drawn, nats.
        ended: Whether the model ended it, and not the limit.
    """

    tokens: tuple[int, ...]
    text: str
    logprob: float
    ended: bool

    @classmethod
    def of(cls, result: TextResult, renderer: Renderer) -> Written:
        """Return what was written, up to a stop string.

        The segment ends with the last token that lies wholly before the first character of the stop
        string. A token that holds characters of both sides is no part of it, nor is what it says.
        So the conversation goes on behind the text that is judged; that the model came to stop
        there is credited with nothing. Where no token lies wholly before, the first one is kept,
        as nothing could be credited otherwise, and the text is empty.
        """
        if result.finish_reason != "stop":
            ended = result.finish_reason == "eos"
            return cls(result.tokens, result.text, result.logprob, ended)
        count = len(result.tokens) - 1
        while count and not result.text.startswith(renderer.decode(result.tokens[:count])):
            count -= 1
        text, kept = renderer.decode(result.tokens[:count]), max(count, 1)
        return cls(result.tokens[:kept], text, math.fsum(result.logprobs[:kept]), ended=True)


@dataclass(frozen=True)
class Episode:
    """One sample: an answer and its grade, in one conversation.

    Attributes:
        item: Which item.
        prompt: The task.
        answer: The answer.
        request: What asks for the grade.
        grade: The grade.
    """

    item: int
    prompt: tuple[int, ...]
    answer: Written
    request: tuple[int, ...]
    grade: Written

    @property
    def before_grade(self) -> tuple[int, ...]:
        """The conversation up to where the grade begins."""
        return (*self.prompt, *self.answer.tokens, *self.request)

    @property
    def tokens(self) -> tuple[int, ...]:
        """The whole conversation."""
        return (*self.before_grade, *self.grade.tokens)

    @property
    def places(self) -> tuple[range, range]:
        """Positions of the answer and of the grade."""
        first, then = len(self.prompt), len(self.before_grade)
        return (
            range(first, first + len(self.answer.tokens)),
            range(then, then + len(self.grade.tokens)),
        )
