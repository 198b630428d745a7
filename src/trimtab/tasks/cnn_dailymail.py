"""Summarise a news article: CNN/DailyMail 3.0.0, and files like it.

Hermann et al. 2015 and See et al. 2017 (arXiv 1704.04368). The first 300 characters of an article
are shown, as in Africa and Ting (arXiv 2511.23092), or as many as you like, or all of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, Literal

from pydantic import Field

from trimtab.core.counted import counted
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

__all__ = ["CNNDailyMail"]

INSTRUCTION = "Summarise this article in one or two sentences."
HUB_CONFIG = "3.0.0"
_ARTICLE, _SUMMARY = ("article", "document", "text"), ("highlights", "summary")


class _Config(Spec):
    """Which articles, and how they are asked about.

    Attributes:
        source: ``bundled`` (20 made-up articles), a hub id (``abisee/cnn_dailymail``), a folder
            with ``train``, ``validation`` and ``test`` files, or one ``.jsonl`` or ``.csv`` file,
            with columns ``article`` (or ``document``) and ``highlights`` (or ``summary``).
        characters: How much of an article is shown; null is all of it.
        rendering: ``chat``, or ``raw``: the article and ``Summary:``, for base models.
        instruction: What a chat turn says after the article.
        limit: Most articles per split, in the order of a hash; null is all.
        fractions: How articles are shared out. A source with sets of its own keeps them.
        max_tokens: Most new tokens.
    """

    source: str = Field(default="bundled", min_length=1)
    characters: int | None = Field(default=300, ge=20)
    rendering: Literal["chat", "raw"] = "chat"
    instruction: str = Field(default=INSTRUCTION, min_length=1)
    limit: int | None = Field(default=None, ge=1)
    fractions: Fractions = Fractions()
    max_tokens: int = Field(default=50, ge=1)


class CNNDailyMail(Task[_Config]):
    """Summarise the beginning of a news article, or all of it."""

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
            return f"cnn_dailymail/generation/raw/{shown}"
        usual = config.instruction == INSTRUCTION
        more = "" if usual else f"+{content_key(config.instruction, 6)}"
        return f"cnn_dailymail/generation/chat{more}/{shown}"

    @cached_property
    def _documents(self) -> Documents:
        source = self.config.source
        path = str(DATA / "articles.jsonl") if source == "bundled" else source
        accepted = (*_ARTICLE, *_SUMMARY, "id")
        return read_documents(path, self._document, accepted=accepted, config=HUB_CONFIG)

    def _document(self, row: Mapping[str, Any], where: str) -> Document:
        article = column(row, _ARTICLE, where)
        highlights = column(row, _SUMMARY, where)
        # one sentence a line, with " ." before its end
        lines = (line.strip().removesuffix(" .").strip() for line in highlights.splitlines())
        ended = (line if line.endswith((".", "!", "?")) else f"{line}." for line in lines if line)
        return Document(
            id=f"n-{content_key(first_characters(article, None), 12)}",
            text=first_characters(article, self.config.characters),
            target=" ".join(ended),
        )

    def samples(self, split: Split) -> list[Sample]:
        """Return the samples of ``split``, ordered by id; raise ConfigError if it is empty."""
        config = self.config
        usable = self._documents.split(split, config.fractions)
        return [
            Sample(
                id=document.id,
                messages=(Message(role="user", content=self._ask(document.text)),),
                target=document.target,
            )
            for document in sorted(spread(usable, config.limit), key=lambda each: each.id)
        ]

    def _ask(self, article: str) -> str:
        if self.config.rendering == "raw":
            return f"Article: {article}\nSummary:"
        return f"Article: {article}\n\n{self.config.instruction}"

    def notes(self) -> tuple[str, ...]:
        """Say how many rows show an article that is there already."""
        count = self._documents.repeats
        rows = counted(count, "repeated article")
        return (f"{rows} of {self.config.source!r} left out",) if count else ()

    def judges(self) -> tuple[Component, ...]:
        """Return ``rouge``."""
        return (Component(name="rouge"),)

    def sampling(self) -> SamplingParams:
        """Greedy; a raw answer ends with its paragraph."""
        stop = ("\n\n",) if self.config.rendering == "raw" else ()
        return SamplingParams(max_tokens=self.config.max_tokens, stop=stop)
