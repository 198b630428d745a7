"""Whether an answer mentions one of some words: of a person's life, say. By rule, no model."""

from __future__ import annotations

import re
import unicodedata

from pydantic import Field, field_validator, model_validator

from trimtab.core.spec import Metric, Spec
from trimtab.judges.base import Item, ItemJudge, Verdict

__all__ = ["Mentions"]


class MentionsConfig(Spec):
    """Which words.

    Attributes:
        words: Words and phrases, each alone enough. Case and Unicode form are no matter; ``clock``
            is not in ``clockwork``, and ``clock*`` is. One space stands between words.
        metric: Name of the metric.
        least: How many different ones an answer must mention.
    """

    words: tuple[str, ...] = Field(default=("yes",), min_length=1)
    metric: str = Field(default="mentions", pattern=r"^[a-z][a-z0-9_]*$")
    least: int = Field(default=1, ge=1)

    @field_validator("words")
    @classmethod
    def _can_be_found(cls, words: tuple[str, ...]) -> tuple[str, ...]:
        for word in words:
            stem = word.removesuffix("*")
            if not stem or "*" in stem or stem != " ".join(stem.split()):
                raise ValueError(
                    f"{word!r} is in no text: a word is not blank, has no space around it and one "
                    "between its parts, and * at its end alone"
                )
        return words

    @model_validator(mode="after")
    def _enough(self) -> MentionsConfig:
        different = len(set(map(_folded, self.words)))
        if self.least > different:
            raise ValueError(f"least is {self.least}, and there are {different} different words")
        return self


class Mentions(ItemJudge[MentionsConfig]):
    """The metric is 1 where the answer mentions enough of the words; an empty answer mentions none.

    What the question says itself is not counted: repeating it is no knowledge.
    """

    Config = MentionsConfig

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """One binary metric."""
        return (Metric(name=self.config.metric, kind="binary", role="effect"),)

    def verdict(self, item: Item) -> Verdict:
        """Score an item that has an answer; see the class."""
        text = _folded(item.completion.text or "")
        asked = _folded(" ".join(message.content for message in item.sample.messages))
        different = {_folded(word): word for word in reversed(self.config.words)}
        found = [
            word
            for word in reversed(different.values())
            if (pattern := _pattern(word)).search(text) and not pattern.search(asked)
        ]
        value = float(len(found) >= self.config.least)
        return Verdict({self.config.metric: value}, reason=", ".join(found) or None)


def _pattern(word: str) -> re.Pattern[str]:
    end = r"\w*" if word.endswith("*") else ""
    inner = re.escape(_folded(word.removesuffix("*"))).replace(r"\ ", r"\s+")
    return re.compile(rf"(?<!\w){inner}{end}(?!\w)")


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()
