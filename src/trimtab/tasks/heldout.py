"""How probable a held-out text stays under an edit: perplexity, and divergence from the unedited.

The opening words of each passage are the prompt and the rest is its only option, scored token by
token. So an edit of ``generated`` positions acts on every scored token, as it does in generation.
"""

from __future__ import annotations

import re
from pathlib import Path

from pydantic import Field

from trimtab.core.errors import ConfigError, DataError
from trimtab.core.keys import content_key
from trimtab.core.spec import Spec, Split
from trimtab.core.types import Choice, Message, Record, Sample
from trimtab.datasets.fields import text_field
from trimtab.datasets.files import DATA, ROWS, read_rows, read_text
from trimtab.datasets.splits import Fractions, in_split, spread
from trimtab.tasks.base import Task

__all__ = ["HeldoutText"]

BUNDLED = DATA / "heldout.jsonl"
_KEYS = ("text", "id", "genre")
NO_GENRE = "all"


class _Config(Spec):
    """Which texts, and how they are cut.

    Attributes:
        source: ``bundled``, a ``.jsonl`` or ``.csv`` file (``text``, and if you like ``id`` and
            ``genre``), or a ``.txt`` file whose passages are separated by blank lines.
        opening_words: Words of a passage that are given as the prompt.
        limit: Most passages per split, spread over the genres; None is all.
        fractions: How passages are shared out. Nothing is fitted on them, so fit has none.
    """

    source: str = Field(default="bundled", min_length=1)
    opening_words: int = Field(default=12, ge=1)
    limit: int | None = Field(default=None, ge=1)
    fractions: Fractions = Fractions(fit=0, select=0.25, test=0.75)


class Passage(Record):
    """One text, its id and its genre."""

    id: str
    genre: str
    text: str

    @property
    def split_text(self) -> str:
        """The text that splits are made by."""
        return self.text

    @property
    def stratum(self) -> str:
        """The group over which splits are balanced."""
        return self.genre


class HeldoutText(Task[_Config]):
    """Passages that the model continues word for word."""

    Config = _Config
    output = "options"
    measure = "heldout"
    rendering = "verbatim"

    @property
    def protocol(self) -> str:
        """The procedure's name; the length of the opening is part of it."""
        opening = self.config.opening_words
        return "heldout/plain" if opening == 12 else f"heldout/plain/{opening}"

    def samples(self, split: Split) -> list[Sample]:
        """Return the passages of ``split``, ordered by id, one option each.

        Clusters are genres; a passage without one is a cluster of its own.

        Raises:
            ConfigError: The split is empty.
            DataError: The source is wrong, or a passage is too short to be cut.
        """
        usable = in_split(_read(self.config.source), split, self.config.fractions)
        if not usable:
            raise ConfigError(
                f"The split {split!r} of {self.config.source!r} is empty "
                f"(`task.fractions.{split}` is {self.config.fractions.of(split):g}).",
                hint="Give it a larger fraction, or do not ask for it.",
            )
        chosen = sorted(spread(usable, self.config.limit), key=lambda passage: passage.id)
        return [self._sample(passage) for passage in chosen]

    def _sample(self, passage: Passage) -> Sample:
        opening, rest = _cut(passage, self.config.opening_words)
        return Sample(
            id=passage.id,
            messages=(Message(role="user", content=opening),),
            choices=(Choice(text=rest, correct=True, sets=("heldout",), reference=True),),
            cluster=None if passage.genre == NO_GENRE else passage.genre,
            metadata={"genre": passage.genre},
        )


def _cut(passage: Passage, num_words: int) -> tuple[str, str]:
    """Return the first words and the rest; their concatenation is the passage."""
    opening = re.match(rf"(?:\S+\s+){{{num_words - 1}}}\S+(?=\s)", passage.text)
    if opening is None:
        raise DataError(
            f"The passage {passage.id!r} ({passage.text[:40]!r}) has no more than {num_words} "
            f"words, which are its prompt.",
            hint="Remove it, or lower `task.opening_words`.",
        )
    return opening[0], passage.text[opening.end() :]


def _read(source: str) -> list[Passage]:
    path = BUNDLED if source == "bundled" else Path(source).expanduser()
    if path.suffix.lower() in ROWS:
        rows = read_rows(path, accepted=_KEYS)
        passages = [
            _passage(row.get("id"), row.get("genre"), text_field(row, "text", where, _KEYS))
            for where, row in rows
        ]
    elif path.suffix == ".txt":
        blocks = re.split(r"\n\s*\n", read_text(path))
        passages = [_passage(None, None, block) for block in blocks if block.strip()]
    else:
        raise DataError(
            f"The source {source!r} (given as `task.source`) must be `bundled` or end in .jsonl, "
            f".csv or .txt (looked in {str(path.absolute())!r})."
        )
    if not passages:
        raise DataError(f"{path.absolute()} holds no texts.")
    if len({passage.id for passage in passages}) < len(passages):
        raise DataError(f"{path.absolute()}: two passages share an id or are the same text.")
    return passages


def _passage(id: object, genre: object, text: str) -> Passage:
    stripped = text.strip()
    return Passage(
        id=str(id) if id else f"h-{content_key(stripped, 12)}",
        genre=str(genre) if genre else NO_GENRE,
        text=stripped,
    )
