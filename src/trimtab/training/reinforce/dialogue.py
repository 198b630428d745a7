"""The one conversation of an episode: the task, the answer, the request for a grade, the grade.

What the model wrote stays as the tokens that it wrote; what the template puts around it is
tokenised apart, so a grade is asked for, and learned from, behind exactly those tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from trimtab.core.types import Message, Rendering, Sample
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
        tokens: With the one that ended it.
        text: Without.
        logprob: Sum over its tokens as they were drawn, nats.
        ended: Whether the model ended it, and not the limit.
    """

    tokens: tuple[int, ...]
    text: str
    logprob: float
    ended: bool


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
