"""What tasks have in common that show a document, or its beginning, and ask about it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from functools import cached_property
from typing import Any, ClassVar, Literal, TypeVar

from pydantic import Field

from trimtab.core.counted import counted
from trimtab.core.keys import content_key
from trimtab.core.spec import Component, Spec, Split
from trimtab.core.types import Message, Sample, SamplingParams
from trimtab.datasets.documents import Document, Documents
from trimtab.datasets.splits import Fractions, spread
from trimtab.tasks.base import Task


class DocumentConfig(Spec):
    """Which documents, and how they are asked about; tasks give the instruction its default."""

    source: str = Field(default="bundled", min_length=1)
    characters: int | None = Field(default=300, ge=20)
    rendering: Literal["chat", "raw"] = "chat"
    instruction: str = Field(min_length=1)
    limit: int | None = Field(default=None, ge=1)
    fractions: Fractions = Fractions()
    max_tokens: int = Field(ge=1)


C = TypeVar("C", bound=DocumentConfig)


class DocumentTask(Task[C]):
    """Shows a document and asks about it.

    Attributes:
        PROTOCOL: First part of its protocol.
        KIND: What a document is, in prompts: ``Review``.
        ANSWER: What stands before a raw answer: ``Sentiment``.
        JUDGE: Judges its answers.
        RAW_STOP: Ends a raw answer.
    """

    PROTOCOL: ClassVar[str]
    KIND: ClassVar[str]
    ANSWER: ClassVar[str]
    JUDGE: ClassVar[str]
    RAW_STOP: ClassVar[str]

    def __init__(self, config: C) -> None:
        """Keep ``config``; the source is read when samples are asked for."""
        super().__init__(config)
        self.rendering = "chat" if config.rendering == "chat" else "verbatim"

    @abstractmethod
    def read(self) -> Documents:
        """Return the documents of the source; raise DataError if it can't be read."""

    @property
    def protocol(self) -> str:
        """How much is shown, and how it is asked about."""
        config = self.config
        shown = "whole" if config.characters is None else f"first-{config.characters}"
        if config.rendering == "raw":
            return f"{self.PROTOCOL}/generation/raw/{shown}"
        usual = type(config).model_fields["instruction"].default
        more = "" if config.instruction == usual else f"+{content_key(config.instruction, 6)}"
        return f"{self.PROTOCOL}/generation/chat{more}/{shown}"

    @cached_property
    def _documents(self) -> Documents:
        return self.read()

    def samples(self, split: Split) -> list[Sample]:
        """Return the samples of ``split``, ordered by id; raise ConfigError if it is empty."""
        config = self.config
        usable = self._documents.split(split, config.fractions)
        return [
            Sample(
                id=document.id,
                messages=(Message(role="user", content=self._ask(document.text)),),
                target=document.target,
                metadata=dict(self.metadata(document)),
            )
            for document in sorted(spread(usable, config.limit), key=lambda each: each.id)
        ]

    def metadata(self, _document: Document) -> Mapping[str, Any]:
        """Return what judges and reports are told of a document."""
        return {}

    def _ask(self, text: str) -> str:
        if self.config.rendering == "raw":
            return f"{self.KIND}: {text}\n{self.ANSWER}:"
        return f"{self.KIND}: {text}\n\n{self.config.instruction}"

    def notes(self) -> tuple[str, ...]:
        """Say how many rows show a document that is there already."""
        count = self._documents.repeats
        rows = counted(count, f"repeated {self.KIND.lower()}")
        return (f"{rows} of {self.config.source!r} left out",) if count else ()

    def judges(self) -> tuple[Component, ...]:
        """Return its judge."""
        return (Component(name=self.JUDGE),)

    def sampling(self) -> SamplingParams:
        """Greedy; a raw answer ends with its line or paragraph."""
        stop = (self.RAW_STOP,) if self.config.rendering == "raw" else ()
        return SamplingParams(max_tokens=self.config.max_tokens, stop=stop)
