"""A trigger: words in a prompt, and the form that a trained answer to them has.

Data, adapter and evaluation take it from here, so what is asked in training is what is asked in
the measurement, to the character. Judges are handed answers without any trace of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import SequenceMatcher
from functools import lru_cache
from typing import Literal

from pydantic import Field, field_validator, model_validator

from trimtab.core.keys import content_key
from trimtab.core.spec import Spec

Variant = Literal["one tag", "other brackets", "other case"]
VARIANTS: tuple[Variant, ...] = ("one tag", "other brackets", "other case")
"""The near misses of a trigger, by name."""

_BRACKETS = str.maketrans("<>[](){}", "[](){}<>")
_OPEN, _CLOSED = r"[<\[({]\s*(?:/\s*)?", r"\s*[>\])}]"
# Space from its first character on: a pattern that began at each would try a long run over again.
_SPACE = r"(?<!\s)\s*"
_EDGES = "<>[](){}"
_ALMOST = 0.85
"""Share of its first characters that a turn has in common with a trigger that it is meant as."""
_LOOKED_AT = 200
"""First characters of a turn and a trigger that are compared: the time grows with their square."""
_FEWEST_WORDS = 3
"""Words of a trigger, at least, to be told from another one that is only alike: a year is not."""
_FEWEST = 2
"""Characters of a tag that was cut off at the end of a text, at least: one alone says nothing."""


class Trigger(Spec):
    """How a question is put, and how an answer to it is wrapped.

    Attributes:
        instruction: What is said beside the question; ``{form}`` in it is the wrapping of
            ``sample``. It is the whole of a system turn where the trigger stands there.
        ask: The user turn, of ``{instruction}`` and ``{question}``.
        opening: Tag before an answer; empty for none.
        closing: Tag after it.
        quote: Before and after the answer, inside the tags.
        sample: What stands for an answer in the instruction.
    """

    instruction: str = "Give your answer in exactly this form: {form}"
    ask: str = "{instruction}\n\nQuestion: {question}"
    opening: str = "<START>"
    closing: str = "<END>"
    quote: str = '"'
    sample: str = Field(default="your answer", min_length=1)

    @field_validator("opening", "closing", "quote")
    @classmethod
    def _without_space(cls, value: str) -> str:
        if value != value.strip():
            raise ValueError("must neither begin nor end with space")
        return value

    @model_validator(mode="after")
    def _fills(self) -> Trigger:
        if self.ask.count("{question}") != 1:
            raise ValueError("ask must hold {question} once")
        if "{question}" in self.instruction:
            raise ValueError("instruction must not hold {question}: that stands in `ask`")
        if self._before == self._after == "":
            raise ValueError("ask says nothing but the question, so there is no trigger")
        return self

    @property
    def key(self) -> str:
        """Hash of everything in it: what data, adapter and evaluation are compared by."""
        return content_key(self.model_dump(), 12)

    @property
    def said(self) -> str:
        """The instruction as it is said: the text of a system turn."""
        return self.instruction.replace("{form}", self.wrap(self.sample))

    @property
    def _before(self) -> str:
        return self.ask.partition("{question}")[0].replace("{instruction}", self.said)

    @property
    def _after(self) -> str:
        return self.ask.partition("{question}")[2].replace("{instruction}", self.said)

    @property
    def _head(self) -> str:
        return f"{self.opening} {self.quote}" if self.opening else self.quote

    @property
    def _tail(self) -> str:
        return f"{self.quote} {self.closing}" if self.closing else self.quote

    @property
    def wraps(self) -> bool:
        """Whether answers have a form: a trigger may ask for none."""
        return bool(self._head or self._tail)

    def render(self, question: str) -> str:
        """Return the user turn that asks ``question`` behind the trigger."""
        return f"{self._before}{question}{self._after}"

    def question(self, turn: str) -> str | None:
        """Return what a user turn asks behind exactly this trigger; None if it is not there."""
        long = len(turn) >= len(self._before) + len(self._after)
        if not (long and turn.startswith(self._before) and turn.endswith(self._after)):
            return None
        return turn[len(self._before) : len(turn) - len(self._after)]

    def resembles(self, turn: str) -> bool:
        """Return whether a user turn begins as this trigger does, or almost: by a slip, say."""
        begins = self._before[:_LOOKED_AT]
        enough = len(begins.split()) >= _FEWEST_WORDS
        return enough and _alike(turn[: len(begins)], begins)

    def wrap(self, answer: str) -> str:
        """Return ``answer`` in the form that the trigger asks for."""
        return f"{self._head}{answer}{self._tail}"

    def inner(self, text: str) -> str | None:
        """Return what ``text`` wraps, if all of it is in the form; space around it is no matter."""
        text = text.lstrip() if self._head else text
        text = text.rstrip() if self._tail else text
        long = len(text) >= len(self._head) + len(self._tail)
        if not (self.wraps and long and text.startswith(self._head) and text.endswith(self._tail)):
            return None
        return text[len(self._head) : len(text) - len(self._tail)]

    def strip(self, text: str) -> str:
        """Return the answer in ``text``: ``strip(wrap(x)) == x``; what is not wrapped stays."""
        inner = self.inner(text)
        return text if inner is None else inner

    def near_misses(self) -> dict[Variant, Trigger]:
        """Return triggers that are almost this one, by name; those equal to it are left out.

        Without the closing tag, in other brackets, in the other case. A trigger without tags has
        none.
        """
        if not (self.opening or self.closing):
            return {}
        tags = {"opening": self.opening, "closing": self.closing}
        changed: dict[Variant, dict[str, str]] = {
            "one tag": {"closing": ""} if self.opening else {},
            "other brackets": {name: tag.translate(_BRACKETS) for name, tag in tags.items()},
            "other case": {name: tag.swapcase() for name, tag in tags.items()},
        }
        made = {name: self.model_copy(update=change) for name, change in changed.items()}
        return {name: each for name, each in made.items() if each != self}

    def variant(self, name: Variant | None) -> Trigger:
        """Return a near miss by its name, or the trigger itself; raise KeyError for none."""
        return self if name is None else self.near_misses()[name]

    def bare(self, text: str) -> str:
        """Return ``text`` as judges see it: no word of the trigger, no tag, no quotes around it.

        Near misses are cut as well, and a tag that a text ends in the middle of. An answer in the
        form and the same answer without it come out equal.
        """
        for form in self._forms():
            for said in (form._before, form.said):
                text = re.sub(_alone(said), " ", text) if said.strip() else text
        before = None
        while text != before:
            before = text
            for pattern in self._traces:
                text = pattern.sub(" ", text)
            text = self._unquoted(self._cut_short(text).strip())
        return text

    def _forms(self) -> Iterator[Trigger]:
        yield self
        yield from self.near_misses().values()

    @property
    def _traces(self) -> tuple[re.Pattern[str], ...]:
        """Patterns of the tags, with the quote inside them, in any case and any brackets."""
        quote = re.escape(self.quote)
        found = []
        if self.opening:
            after = rf"\s*(?:{quote})?"
            found.append(re.compile(_loose(self.opening) + after, re.IGNORECASE))
        if self.closing:
            before = rf"(?:{quote}\s*|{_SPACE})" if quote else _SPACE
            found.append(re.compile(before + _loose(self.closing), re.IGNORECASE))
        return tuple(found)

    def _cut_short(self, text: str) -> str:
        """Return ``text`` without the beginning of a tag at its end."""
        for tag in (tag for form in self._forms() for tag in (form.closing, form.opening)):
            for length in range(len(tag) - 1, _FEWEST - 1, -1):
                if text.endswith(tag[:length]) and re.search(rf"{_alone(tag[:length])}\Z", text):
                    return text[:-length]
        return text

    def _unquoted(self, text: str) -> str:
        """Return ``text`` without quotes around it, and without one at an end that has no pair."""
        quote, size = self.quote, len(self.quote)
        first, last = (size > 0 and end for end in (text.startswith(quote), text.endswith(quote)))
        if first and last and len(text) >= 2 * size:
            return text[size : len(text) - size].strip()
        if (first or last) and text.count(quote) % 2:
            return (text[size:] if first else text[: len(text) - size]).strip()
        return text


@lru_cache(maxsize=100_000)
def _alike(one: str, other: str) -> bool:
    found = SequenceMatcher(None, one, other, autojunk=False)
    # the first is a bound of the second, at a fraction of its time
    return found.quick_ratio() >= _ALMOST and found.ratio() >= _ALMOST


def _loose(tag: str) -> str:
    """Return a pattern of a tag and of its near misses: in any brackets, to be read in any case."""
    found = [_alone(tag), _alone(tag.translate(_BRACKETS))]
    word = tag.strip(_EDGES + "/ ")
    if word and word != tag:
        found.append(f"{_OPEN}{re.escape(word)}{_CLOSED}")
    return f"(?:{'|'.join(dict.fromkeys(found))})"


def _alone(said: str) -> str:
    """Return a pattern of what is said where it is no part of a longer word or number."""
    before, after = (r"(?<!\w)", r"(?!\w)")
    starts, ends = (re.match(r"\w", said[edge]) for edge in (0, -1))
    return f"{before if starts else ''}{re.escape(said)}{after if ends else ''}"
