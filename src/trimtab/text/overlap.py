"""How much a text repeats itself, and when two questions are the same one.

A word is a maximal run of letters, digits and apostrophes, casefolded; punctuation is no word.
Scripts without spaces (Chinese, Thai) come out as few long words, so for them only the search for
glued repeats in ``is_collapsed`` says anything.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

_WORD = re.compile(r"\w+(?:['\u2019]\w+)*")
# A unit of 1-8 visible characters said eight times or more without a space: "!!!!!!", "hahahaha".
_GLUED = re.compile(r"(\S{1,8}?)\1{7,}")
_MIN_GLUED_CHARS = 24

_MAX_PHRASE_WORDS = 8
_MIN_WORDS_TO_JUDGE = 8
_MIN_SAYINGS_OF_A_LOOP = 3
_COLLAPSED_RUN_WORDS = 24
_MIN_WORDS_FOR_REPETITION = 20
_COLLAPSED_REPETITION = 0.5

_STRAIGHT_QUOTES = str.maketrans("\u2018\u2019\u201c\u201d", "''\"\"")


def words(text: str) -> list[str]:
    """Return the casefolded words of ``text`` in order (definition: top of this module)."""
    return _WORD.findall(text.casefold())


def distinct_n(text: str, n: int) -> float | None:
    """Return the share of distinct ones among the word n-grams of ``text``, in (0, 1].

    None where the text has fewer than ``n`` words: it has no n-gram to count.

    Raises:
        ValueError: ``n`` is less than 1.

    Source: Li et al. 2016 (arXiv 1510.03055), which divides by the number of words instead.
    """
    if n < 1:
        raise ValueError(f"distinct_n: n={n}, an n-gram has at least one word")
    found = words(text)
    ngrams = [tuple(found[i : i + n]) for i in range(len(found) - n + 1)]
    return len(set(ngrams)) / len(ngrams) if ngrams else None


def repetition(text: str) -> float:
    """Return the share of word 4-grams that repeat an earlier one, in [0, 1).

    That is ``1 - distinct 4-grams / all 4-grams`` (seq-rep-4 of Welleck et al. 2019, arXiv
    1908.04319, on words instead of tokens). A text of fewer than four words has none and gives 0.0.
    """
    distinct = distinct_n(text, 4)
    return 0.0 if distinct is None else 1.0 - distinct


def longest_repeat_run(text: str) -> int:
    """Return the length in words of the longest stretch that says one phrase over and over.

    The phrase has 1 to 8 words and is said at least twice back to back; a cut-off last repeat
    counts with the words it has. 0 where no phrase follows itself.
    """
    return _longest_run(words(text), min_sayings=2)


def is_collapsed(text: str) -> bool:
    """Return whether ``text`` has fallen into a loop, as over-steered models do.

    True where any of these holds:

    * one phrase of up to 8 words, said three times or more in a row, fills 24 words or more, or
      half of a text of 8 words or more (a calculation said twice is no loop);
    * half of the 4-grams of a text of 20 words or more are repeats;
    * a unit of up to 8 characters, repeated without a space, fills 24 characters or more and half
      of what is visible (a line of dashes between paragraphs is no collapse).

    The thresholds are ours: a screen for reports, not a measurement.
    """
    found = words(text)
    num_words = len(found)
    run = _longest_run(found, min_sayings=_MIN_SAYINGS_OF_A_LOOP)
    if run >= _COLLAPSED_RUN_WORDS or (num_words >= _MIN_WORDS_TO_JUDGE and 2 * run >= num_words):
        return True
    if num_words >= _MIN_WORDS_FOR_REPETITION and repetition(text) >= _COLLAPSED_REPETITION:
        return True
    glued = max((len(match[0]) for match in _GLUED.finditer(text.casefold())), default=0)
    num_visible = sum(not char.isspace() for char in text)
    return glued >= _MIN_GLUED_CHARS and 2 * glued >= num_visible


def normalise_question(text: str) -> str:
    """Return the form of a question by which splits are kept disjoint.

    Unicode NFKC and casefold, curly quotes made straight, whitespace collapsed, punctuation at the
    end removed (unless nothing else is there). Applying it twice changes nothing.
    """
    folded = unicodedata.normalize("NFKC", text).translate(_STRAIGHT_QUOTES)
    # Case folding can undo the composition, and composing can bring capitals back.
    while (again := unicodedata.normalize("NFKC", folded.casefold())) != folded:
        folded = again
    collapsed = " ".join(folded.split())
    end = len(collapsed)
    while end and (
        collapsed[end - 1].isspace() or unicodedata.category(collapsed[end - 1]).startswith("P")
    ):
        end -= 1
    return collapsed[:end] or collapsed


def _longest_run(found: Sequence[str], min_sayings: int) -> int:
    """Return the longest stretch, in words, of any one phrase said ``min_sayings`` times."""
    longest_period = min(_MAX_PHRASE_WORDS, len(found) // min_sayings)
    runs = (_run_of_period(found, p, min_sayings) for p in range(1, longest_period + 1))
    return max(runs, default=0)


def _run_of_period(found: Sequence[str], period: int, min_sayings: int) -> int:
    """Return the longest stretch in which each word equals the one ``period`` words on."""
    longest = current = 0
    for i in range(len(found) - period):
        current = current + 1 if found[i] == found[i + period] else 0
        longest = max(longest, current)
    # Every full saying after the first adds ``period`` matches.
    return longest + period if longest >= (min_sayings - 1) * period else 0
