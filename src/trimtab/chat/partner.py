"""What a session asks for answers, wherever they come from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from trimtab.core.types import FinishReason, Message, SamplingParams

BASE = "base"
"""Name of the model as it is, without any treatment."""

Messages = tuple[Message, ...]


@dataclass(frozen=True)
class Asked:
    """A turn that some voices are asked to answer.

    Attributes:
        messages: What each voice has heard so far, the question last.
        sampling: How the answers are drawn.
        seed: Starts the random stream, the same for all voices.
        strength: What a treatment does is multiplied by this; 0 is the model as it is.
    """

    messages: Mapping[str, Messages]
    sampling: SamplingParams
    seed: int
    strength: float = 1.0


@dataclass(frozen=True)
class Answer:
    """What a voice answered.

    Attributes:
        text: The answer.
        finish_reason: Why it ended.
        num_tokens: Tokens of the answer, with the one that ended it; None where nobody counted.
    """

    text: str
    finish_reason: FinishReason
    num_tokens: int | None = field(default=None)


class Partner(Protocol):
    """A model, and the voices that it has."""

    @property
    def identity(self) -> str:
        """What the model is, for the transcript."""
        ...

    @property
    def voices(self) -> tuple[str, ...]:
        """Names of the voices; the first one answers unless another is asked for."""
        ...

    def answers(self, asked: Asked, say: Callable[[str], None]) -> Iterator[tuple[str, Answer]]:
        """Yield each voice's answer; one that is asked alone is told to ``say`` as it comes.

        Raises:
            ConfigError: The conversation is too long, or the strength can't be had.
            ModelError: The model can't be asked so, or can't be reached.
        """
        ...
