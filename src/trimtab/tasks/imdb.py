"""Is a film review positive or negative? IMDB, and files like it.

Maas et al. 2011, "Learning Word Vectors for Sentiment Analysis". The first 300 characters of a
review are shown, as in Africa and Ting (arXiv 2511.23092), or as many as you like, or all of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, Literal

from pydantic import Field

from trimtab.core.counted import counted
from trimtab.core.errors import DataError
from trimtab.core.keys import content_key
from trimtab.core.spec import Component, Spec, Split
from trimtab.core.types import Message, Sample, SamplingParams
from trimtab.datasets.documents import (
    Document,
    Documents,
    column,
    first_characters,
    read_documents,
)
from trimtab.datasets.files import DATA
from trimtab.datasets.splits import Fractions, spread
from trimtab.tasks.base import Task

__all__ = ["IMDB"]

INSTRUCTION = "Is this review positive or negative? Answer with one word."
LABELS = ("negative", "positive")
_TEXT, _LABEL = ("text", "review"), ("label", "sentiment")
_NAMES = {"0": "negative", "1": "positive", "neg": "negative", "pos": "positive"}


class _Config(Spec):
    """Which reviews, and how they are asked about.

    Attributes:
        source: ``bundled`` (40 made-up reviews), a hub id (``stanfordnlp/imdb``), a folder with
            ``train`` and ``test`` files, or one ``.jsonl`` or ``.csv`` file, with columns ``text``
            (or ``review``) and ``label`` (0 and 1, or negative and positive).
        characters: How much of a review is shown; null is all of it.
        rendering: ``chat``, or ``raw``: the review and ``Sentiment:``, for base models.
        instruction: What a chat turn says after the review.
        limit: Most reviews per split, in the order of a hash, both labels in turn; null is all.
        fractions: How reviews are shared out. A source with a test set of its own keeps it, and
            fit and select share the rest.
        max_tokens: Most new tokens.
    """

    source: str = Field(default="bundled", min_length=1)
    characters: int | None = Field(default=300, ge=20)
    rendering: Literal["chat", "raw"] = "chat"
    instruction: str = Field(default=INSTRUCTION, min_length=1)
    limit: int | None = Field(default=None, ge=1)
    fractions: Fractions = Fractions()
    max_tokens: int = Field(default=16, ge=1)


class IMDB(Task[_Config]):
    """Say whether a review is positive or negative."""

    Config = _Config

    def __init__(self, config: _Config) -> None:
        """Keep ``config``; the source is read when samples are asked for."""
        super().__init__(config)
        self.rendering = "chat" if config.rendering == "chat" else "verbatim"

    @property
    def protocol(self) -> str:
        """How much is shown, and how it is asked about."""
        config = self.config
        shown = "whole" if config.characters is None else f"first-{config.characters}"
        if config.rendering == "raw":
            return f"imdb/generation/raw/{shown}"
        usual = config.instruction == INSTRUCTION
        more = "" if usual else f"+{content_key(config.instruction, 6)}"
        return f"imdb/generation/chat{more}/{shown}"

    @cached_property
    def _documents(self) -> Documents:
        source = self.config.source
        path = str(DATA / "reviews.jsonl") if source == "bundled" else source
        return read_documents(path, self._document, accepted=(*_TEXT, *_LABEL, "id"))

    def _document(self, row: Mapping[str, Any], where: str) -> Document:
        text = column(row, _TEXT, where).replace("<br />", "\n")
        given = next((row[key] for key in _LABEL if row.get(key) is not None), None)
        label = str(given).strip().lower()
        label = _NAMES.get(label, label)
        if label not in LABELS:
            raise DataError(
                f"{where}: the label {given!r} is neither 0 or negative, nor 1 or positive."
            )
        whole = first_characters(text, None)
        # ids of files (``0_9``) stand once per label, so they are none of their own
        id = f"r-{content_key(whole, 12)}"
        shown = first_characters(text, self.config.characters)
        return Document(id=id, text=shown, target=label, group=label)

    def samples(self, split: Split) -> list[Sample]:
        """Return the samples of ``split``, ordered by id; raise ConfigError if it is empty."""
        config = self.config
        usable = self._documents.split(split, config.fractions)
        return [
            Sample(
                id=document.id,
                messages=(Message(role="user", content=self._ask(document.text)),),
                target=document.target,
                metadata={
                    "labels": list(LABELS),
                    "incorrect_answers": [x for x in LABELS if x != document.target],
                    "category": document.target,
                },
            )
            for document in sorted(spread(usable, config.limit), key=lambda each: each.id)
        ]

    def _ask(self, review: str) -> str:
        if self.config.rendering == "raw":
            return f"Review: {review}\nSentiment:"
        return f"Review: {review}\n\n{self.config.instruction}"

    def notes(self) -> tuple[str, ...]:
        """Say how many rows show a review that is there already."""
        count = self._documents.repeats
        rows = counted(count, "repeated review")
        return (f"{rows} of {self.config.source!r} left out",) if count else ()

    def judges(self) -> tuple[Component, ...]:
        """Return ``label``."""
        return (Component(name="label"),)

    def sampling(self) -> SamplingParams:
        """Greedy; a raw answer ends with its line."""
        stop = ("\n",) if self.config.rendering == "raw" else ()
        return SamplingParams(max_tokens=self.config.max_tokens, stop=stop)
