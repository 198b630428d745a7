"""Questions that are in two splits: the same text, or thirteen words in a row in common.

Thirteen words are the length that GPT-3's authors and many after them screen benchmarks with (Brown
et al. 2020, arXiv 2005.14165, appendix C). Of GSM8K's 7473 training questions four share as many
with a test question.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from trimtab.core.errors import DataError
from trimtab.text.overlap import normalise_question, words

LEAK_WORDS = 13

Ngram = tuple[str, ...]


@dataclass(frozen=True)
class Leak:
    """A question that is to be kept apart from another, and is not.

    Attributes:
        text: The question in the first set.
        other: The question in the second set.
        same: Whether they are one question; else they share ``LEAK_WORDS`` words in a row.
    """

    text: str
    other: str
    same: bool


def long_ngrams(text: str) -> set[Ngram]:
    """Return every run of ``LEAK_WORDS`` words of ``text``; a shorter text has none."""
    found = words(text)
    return {tuple(found[i : i + LEAK_WORDS]) for i in range(len(found) - LEAK_WORDS + 1)}


def find_leaks(texts: Iterable[str], others: Sequence[str]) -> list[Leak]:
    """Return the questions of ``texts`` that are in ``others`` too, each with one it is found in.

    Questions are compared by ``normalise_question`` and by ``long_ngrams``.
    """
    same = {normalise_question(other): other for other in reversed(others)}
    shared = {ngram: other for other in reversed(others) for ngram in long_ngrams(other)}
    leaks = []
    for text in texts:
        if (key := normalise_question(text)) in same:
            leaks.append(Leak(text, same[key], same=True))
        elif hits := sorted(long_ngrams(text) & shared.keys()):
            leaks.append(Leak(text, shared[hits[0]], same=False))
    return leaks


def refuse_leaks(texts: Iterable[str], tested: Sequence[str], who: str) -> None:
    """Raise DataError if what ``who`` is fitted on is also what it is tested on."""
    leaks = find_leaks(texts, tested)
    if leaks:
        how = "is" if leaks[0].same else f"shares {LEAK_WORDS} words in a row with"
        raise DataError(
            f"{who} would be fitted on questions of the test split: {leaks[0].text[:60]!r} {how} "
            f"{leaks[0].other[:60]!r} ({len(leaks)} such questions).",
            hint="Fit on the fit split, or remove these questions from it.",
        )
