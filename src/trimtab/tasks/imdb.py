"""Is a film review positive or negative? IMDB, and files like it.

Maas et al. 2011, "Learning Word Vectors for Sentiment Analysis". The first 300 characters of a
review are shown, as in Africa and Ting (arXiv 2511.23092), or as many as you like, or all of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from trimtab.core.errors import DataError
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

__all__ = ["IMDB"]

INSTRUCTION = "Is this review positive or negative? Answer with one word."
LABELS = ("negative", "positive")
_TEXT, _LABEL = ("text", "review"), ("label", "sentiment")
_NAMES = {"0": "negative", "1": "positive", "neg": "negative", "pos": "positive"}


class _Config(DocumentConfig):
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

    instruction: str = Field(default=INSTRUCTION, min_length=1)
    max_tokens: int = Field(default=16, ge=1)


class IMDB(DocumentTask[_Config]):
    """Say whether a review is positive or negative."""

    Config = _Config
    PROTOCOL, KIND, ANSWER, JUDGE, RAW_STOP = "imdb", "Review", "Sentiment", "label", "\n"

    def read(self) -> Documents:
        """Return the reviews; raise DataError if the source can't be read."""
        source = self.config.source
        path = str(DATA / "reviews.jsonl") if source == "bundled" else source
        return read_documents(path, self._document, accepted=(*_TEXT, *_LABEL, "id"))

    def metadata(self, document: Document) -> Mapping[str, Any]:
        """Return the labels that an answer may give, and the reports' category."""
        return {
            "labels": list(LABELS),
            "incorrect_answers": [label for label in LABELS if label != document.target],
            "category": document.target,
        }

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
