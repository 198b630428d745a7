"""Summarise a news article: CNN/DailyMail 3.0.0, and files like it.

Hermann et al. 2015 and See et al. 2017 (arXiv 1704.04368). The first 300 characters of an article
are shown, as in Africa and Ting (arXiv 2511.23092), or as many as you like, or all of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from trimtab.core.keys import content_key
from trimtab.datasets.documents import (
    Document,
    Documents,
    column,
    first_characters,
    read_documents,
)
from trimtab.datasets.files import DATA
from trimtab.tasks._document_task import DocumentConfig, DocumentTask

__all__ = ["CNNDailyMail"]

INSTRUCTION = "Summarise this article in one or two sentences."
HUB_CONFIG = "3.0.0"
_ARTICLE, _SUMMARY = ("article", "document", "text"), ("highlights", "summary")


class _Config(DocumentConfig):
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

    instruction: str = Field(default=INSTRUCTION, min_length=1)
    max_tokens: int = Field(default=50, ge=1)


class CNNDailyMail(DocumentTask[_Config]):
    """Summarise the beginning of a news article, or all of it."""

    Config = _Config
    PROTOCOL, KIND, ANSWER = "cnn_dailymail", "Article", "Summary"
    JUDGE, RAW_STOP = "rouge", "\n\n"

    def read(self) -> Documents:
        """Return the articles; raise DataError if the source can't be read."""
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
