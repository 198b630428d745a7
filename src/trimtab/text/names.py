"""Whether a text names somebody, and what else in it gives away who is meant."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from trimtab.core.errors import ConfigError

_YEAR = re.compile(r"(?<![\w.,])(?:1[0-9]{3}|20[0-9]{2})(?:s|'s|\u2019s)?(?!\w)")
_WORD = r"(?<![\w'\u2019-])(?:[A-Z]\.|[^\W\d_a-z][\w'\u2019-]*)"
_CAPITALISED = re.compile(rf"{_WORD}(?:\s+(?:(?:of|the|de|von|van)\s+)?{_WORD})*")
_OPENS = re.compile(r"(?:^|[.!?:;\n\u2014\"\u201c\u2018(\[])[\s\"'\u201c\u2018(\[]*\Z")
_FIRST_PERSON = re.compile(r"I(?:['\u2019]\w+)?")
_EVERYDAY = frozenset(
    {
        "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday", "january",
        "february", "march", "april", "may", "june", "july", "august", "september", "october",
        "november", "december", "god", "english",
    }
)  # fmt: skip


class Giveaway(NamedTuple):
    """A term that tells who is meant.

    Attributes:
        kind: ``name`` of the person, ``year``, ``capitalised`` (a name of somebody, a place, a
            work), or what a list calls it.
        term: The term.
    """

    kind: str
    term: str


class Names:
    """Ways to name somebody; case, accents and punctuation are no matter."""

    def __init__(self, names: Iterable[str]) -> None:
        """Keep the names; each counts where it stands as whole words.

        Raises:
            ConfigError: One has neither letter nor digit, so no text could have it.
        """
        named = {name: _folded(name) for name in names}
        empty = next((name for name, folded in named.items() if not folded), None)
        if empty is not None:
            raise ConfigError(f"{empty!r} names nobody: it has neither letter nor digit.")
        self._names = list(named.values())

    def said_in(self, text: str) -> bool:
        """Return whether a text has one of them."""
        words = f" {_folded(text)} "
        return any(f" {name} " in words for name in self._names)


def giveaways(
    texts: Sequence[str],
    names: Sequence[str],
    listed: Iterable[Giveaway] = (),
    allowed: Iterable[str] = (),
) -> list[list[Giveaway]]:
    """Return what gives the person away in each text.

    Names and listed terms; years of four digits from 1000 on; and what has a capital within a
    sentence, in this text or another one: so a name that begins a sentence is found where some
    text has it elsewhere. A name that only ever begins sentences is not: list it.

    Args:
        texts: A fact each: its questions and answers.
        names: Of the person.
        listed: Further terms.
        allowed: Terms that give nobody away, beside days, months and ``I``.
    """
    known = [Giveaway("name", name) for name in names] + list(listed)
    fine = {_folded(term) for term in allowed} | _EVERYDAY
    taken = {_folded(each.term) for each in known} | fine
    capitalised = sorted({term for text in texts for term in _inner_capitals(text)})
    known += [Giveaway("capitalised", t) for t in capitalised if _folded(t) not in taken]
    terms = [(each, Names([each.term])) for each in known if _folded(each.term) not in fine]
    return [
        [each for each, said in terms if said.said_in(text)]
        + [Giveaway("year", year) for year in dict.fromkeys(_YEAR.findall(text))]
        for text in texts
    ]


def _inner_capitals(text: str) -> list[str]:
    """Return runs of capitalised words that begin no sentence."""
    found = []
    for match in _CAPITALISED.finditer(text):
        words = match[0].split()
        if _OPENS.search(text[: match.start()]):
            words = words[1:]  # the first has its capital from the sentence
        while words and (_FIRST_PERSON.fullmatch(words[0]) or words[0].islower()):
            words = words[1:]
        while words and (_FIRST_PERSON.fullmatch(words[-1]) or words[-1].islower()):
            words = words[:-1]
        term = re.sub(r"['\u2019]s?\Z", "", " ".join(words))
        if len(_folded(term)) > 1:
            found.append(term)
    return found


def _folded(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text.casefold())
    bare = "".join(char for char in plain if not unicodedata.combining(char))
    return " ".join(re.findall(r"\w+", re.sub(r"['\u2019]s\b", "", bare)))
