"""English words for numbers, as an answer in words gives them: ``twenty-one``, ``a hundred``."""

from __future__ import annotations

import re
from collections.abc import Iterator

_ONES = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
    "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen",
    "nineteen",
)  # fmt: skip
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_SMALL = {
    **{word: value for value, word in enumerate(_ONES)},
    **{word: 10 * value for value, word in enumerate(_TENS, start=2)},
}
_LARGE = {"hundred": 10**2, "thousand": 10**3, "million": 10**6, "billion": 10**9}
_WORD = re.compile(r"[a-z]+")
_NUMBER = (
    rf"(?:(?:minus|negative)\s+)?(?:a\s+(?:{'|'.join(_LARGE)})|{'|'.join((*_SMALL, *_LARGE))})\b"
    rf"(?:(?:[\s-]+|\s+and\s+)(?:{'|'.join((*_SMALL, *_LARGE))})\b)*"
)
_OPENING = re.compile(rf"\W{{0,6}}{_NUMBER}", re.IGNORECASE)
_ANYWHERE = re.compile(rf"\b{_NUMBER}", re.IGNORECASE)


def words_at(text: str, start: int) -> str | None:
    """Return the words for a number with which ``text`` goes on at ``start``; None for others."""
    found = _OPENING.match(text, start)
    return found[0] if found else None


def numbers_in_words(text: str, start: int) -> Iterator[tuple[int, int, int]]:
    """Yield value, start and end of each number in words from ``start`` on."""
    for match in _ANYWHERE.finditer(text, start):
        value = number_in_words(match[0])
        if value is not None:
            yield value, match.start(), match.end()


def number_in_words(words: str) -> int | None:
    """Return what the words are worth; None where they are no number (``twenty forty``)."""
    negative = re.search(r"\b(?:minus|negative)\b", words, re.IGNORECASE) is not None
    total = group = 0
    last = None
    for word in _WORD.findall(words.casefold()):
        if word in _LARGE:
            size = _LARGE[word]
            if size == _LARGE["hundred"]:
                group = (group or 1) * size
            else:
                total, group = total + (group or 1) * size, 0
            last = None
        elif word in _SMALL:
            value = _SMALL[word]
            if last is not None and not (last >= 20 and 0 < value < 10):
                return None
            group, last = group + value, value
    return -(total + group) if negative else total + group
