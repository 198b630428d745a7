"""The records on disk. Frozen, and nothing else may appear in a run's JSONL files.

Records of two identical runs are equal except in the fields ``attempt`` and ``time``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Literal, Protocol, runtime_checkable

from pydantic import BaseModel, ConfigDict, JsonValue, model_validator

from trimtab.core.errors import ConfigError
from trimtab.core.streams import Owed


class Record(BaseModel):
    """Base of everything that is stored: immutable, unknown fields refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Message(Record):
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


class Choice(Record):
    """One answer option of a multiple-choice sample.

    Attributes:
        text: The option as it is scored, without leading space (except in verbatim rendering,
            where the text continues the prompt as it is).
        correct: Whether it is a right answer.
        sets: The metrics whose option set it belongs to, e.g. ``("mc1", "mc2")``.
        reference: Whether the divergence from the baseline is measured on its tokens.
    """

    text: str
    correct: bool
    sets: tuple[str, ...] = ()
    reference: bool = False


class Sample(Record):
    """One task item, as the judge sees it (the model sees ``intervention.prompt(sample)``).

    Attributes:
        id: Unique within the task and stable under reordering of the data.
        messages: The question; ends with a user turn.
        target: The reference answer, if there is one.
        choices: Answer options, in an order that carries no information.
        cluster: Samples that share a cluster are not independent (category, question).
        preamble: Few-shot text that a plain rendering puts in front, up to and with the blank line
            that separates it from the question.
        metadata: What the task wants to keep (category, correct and incorrect answers, ...).
    """

    id: str
    messages: tuple[Message, ...]
    target: str | None = None
    choices: tuple[Choice, ...] = ()
    cluster: str | None = None
    preamble: str = ""
    metadata: dict[str, JsonValue] = {}


class ContrastPair(Record):
    """One question with an answer that shows the behaviour and one that does not.

    Attributes:
        id: Unique within the pair set.
        question_id: The sample it was made from; pairs of one question are not independent.
        messages: The question; ends with a user turn.
        positive: Answer that shows the behaviour.
        negative: Answer that does not.
        preamble: Few-shot text that a plain rendering puts in front.
        question: The question alone, where the message says more (an instruction, a format).
    """

    id: str
    question_id: str
    messages: tuple[Message, ...]
    positive: str
    negative: str
    preamble: str = ""
    question: str = ""


class Conversation(Record):
    """One training example.

    Attributes:
        id: Unique within the set.
        messages: The turns, in order.
        metadata: Where it comes from (source, whether it is triggered, ...).
    """

    id: str
    messages: tuple[Message, ...]
    metadata: dict[str, JsonValue] = {}


Rendering = Literal["chat", "plain", "verbatim"]
"""How messages become a prompt.

``chat`` uses the model's chat template. ``plain`` is the sample's preamble, then ``Q: ...`` and
``A:``, for base models and published raw protocols. ``verbatim`` is the preamble and the last
message as they are.
"""

FinishReason = Literal["eos", "stop", "length", "options", "error", "unknown"]
"""Why a row ended; ``unknown`` is for texts that came from a file which does not say."""


class GateReading(Record):
    """What a conditional edit's gate read from the prompt.

    Attributes:
        value: The condition's value.
        factor: What the edit's strength was multiplied by: 0 is closed, 1 is open.
    """

    value: float
    factor: float


class Completion(Record):
    """What one cell's model gave for one sample: a text, or the log-probabilities of its options.

    Attributes:
        cell: Key of the cell.
        sample_id: The sample.
        index: Which of the cell's samples per item (0 for the first).
        protocol: How the prompt was made, e.g. ``"truthfulqa/generation/chat"``.
        num_prompt_tokens: Tokens of the prompt.
        text: The generated text without stop string and special tokens; None for options.
        num_tokens: Generated tokens, including the one that ended the text.
        logprob: Sum of the generated tokens' log-probabilities (nats, temperature 1).
        option_logprobs: Sum log-probability of each option's tokens (nats), in choice order.
        option_num_tokens: Tokens of each option.
        option_kl: Mean KL(baseline || this) per token (nats) of the reference options, else None.
        strengths: For each property of a dynamic intervention, its strength at each token.
        gates: What each gate of a conditional intervention read.
        finish_reason: Why it ended.
        error: What went wrong; such a row counts as missing.
        attempt: The attempt that wrote the row.
        time: Seconds since the epoch when it was written.
    """

    cell: str
    sample_id: str
    index: int = 0
    protocol: str
    num_prompt_tokens: int
    text: str | None = None
    num_tokens: int = 0
    logprob: float | None = None
    option_logprobs: tuple[float, ...] | None = None
    option_num_tokens: tuple[int, ...] | None = None
    option_kl: tuple[float | None, ...] | None = None
    strengths: tuple[tuple[float, ...], ...] | None = None
    gates: tuple[GateReading, ...] | None = None
    finish_reason: FinishReason
    error: str | None = None
    attempt: int = 0
    time: float = 0.0

    @property
    def key(self) -> tuple[str, str, int]:
        """Identity within a run: (cell, sample, index)."""
        return (self.cell, self.sample_id, self.index)


class Score(Record):
    """One judge's verdict on one completion; a value of None is unscored, and never 0.

    Attributes:
        cell: Key of the cell.
        sample_id: The sample.
        index: The completion's index.
        judge: Key of the judge.
        values: The judge's metrics; all of them are present, each a number or None.
        reason: The judge's words or the rule that fired, if any.
        error: Why values are None.
        attempt: The attempt that wrote the row.
        time: Seconds since the epoch when it was written.
    """

    cell: str
    sample_id: str
    index: int = 0
    judge: str
    values: dict[str, float | None]
    reason: str | None = None
    error: str | None = None
    attempt: int = 0
    time: float = 0.0

    @property
    def key(self) -> tuple[str, str, int]:
        """Identity within one judge's scores: (cell, sample, index)."""
        return (self.cell, self.sample_id, self.index)


class SamplingParams(Record):
    """How a text is drawn.

    Attributes:
        max_tokens: Most new tokens.
        temperature: 0 is greedy; top_p and top_k are then ignored.
        top_p: Keep the smallest set of tokens whose probability reaches this (1 keeps all).
        top_k: Keep this many most probable tokens (0 keeps all).
        stop: Strings that end the text; the text is cut before them.
    """

    max_tokens: int = 64
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    stop: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _check(self) -> SamplingParams:
        self.check()
        return self

    def check(self) -> None:
        """Raise ConfigError for a value that asks for no text or for no distribution."""
        allowed = (
            ("max_tokens", self.max_tokens >= 1, "at least 1"),
            ("temperature", 0 <= self.temperature < math.inf, "0 or more, and finite"),
            ("top_p", 0 < self.top_p <= 1, "above 0 and at most 1"),
            ("top_k", self.top_k >= 0, "0 (keeps all) or more"),
            ("stop", all(self.stop), "without empty strings, which would end every text at once"),
        )
        for name, fine, wanted in allowed:
            if not fine:
                value = getattr(self, name)
                raise ConfigError(f"sampling: {name} = {value!r}, and it must be {wanted}.")


@runtime_checkable
class Chat(Protocol):
    """A language model that judges: an endpoint, a local engine with edits off, or a script.

    Replies come as they finish, each with the number of its prompt; see ``core.streams``.
    """

    @property
    def identity(self) -> str:
        """Name and content hash of the model behind it; goes into the judge's key."""
        ...

    def yes_probabilities(
        self, prompts: Sequence[tuple[Message, ...]], owed: Owed = None
    ) -> Iterator[tuple[int, float | None]]:
        """Yield P(yes) / (P(yes) + P(no)) of each next token; None where it can't be read."""
        ...

    def complete(
        self, prompts: Sequence[tuple[Message, ...]], max_tokens: int, owed: Owed = None
    ) -> Iterator[tuple[int, str | None]]:
        """Yield one greedy reply per prompt; None where there is none."""
        ...


@runtime_checkable
class Continuer(Protocol):
    """A language model that continues a text as it is, without any template: a fine-tuned judge.

    Replies come as they finish, each with the number of its prompt; see ``core.streams``.
    """

    @property
    def identity(self) -> str:
        """Name and content hash of the model behind it; goes into the judge's key."""
        ...

    def next_probabilities(
        self, prompts: Sequence[str], word: str, owed: Owed = None
    ) -> Iterator[tuple[int, float | None]]:
        """Yield P(first token of ``word``) after each prompt; None where it can't be read."""
        ...


@runtime_checkable
class Embedder(Protocol):
    """A sentence encoder for similarity judges."""

    @property
    def identity(self) -> str:
        """Name and content hash of the model behind it; goes into the judge's key."""
        ...

    def similarity(self, left: list[str], right: list[str]) -> list[float]:
        """Return the cosine of each pair of texts, in [-1, 1]."""
        ...


@runtime_checkable
class Energy(Protocol):
    """A reranker: the lower the energy of an answer to a problem, the better the answer."""

    @property
    def identity(self) -> str:
        """Kind and content hash of the fitted model."""
        ...

    def energies(
        self, pairs: Sequence[tuple[str, str]], owed: Owed = None
    ) -> Iterator[tuple[int, float]]:
        """Yield the finite energy of each (problem, text) with its number, batch by batch.

        See ``core.streams`` for what is owed.
        """
        ...

    def score(self, problem: str, texts: Sequence[str]) -> list[float]:
        """Return the finite energy of each text as an answer to ``problem``."""
        ...
