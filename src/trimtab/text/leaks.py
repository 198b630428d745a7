"""Whether problems that something is fitted on occur among those it is tested on."""

from __future__ import annotations

from collections.abc import Iterable

from trimtab.core.keys import content_key
from trimtab.text.overlap import normalise_question, words

NGRAM_WORDS = 13


def problem_hash(problem: str) -> str:
    """Return a hash that spellings of one problem share."""
    return content_key(normalise_question(problem))


class HeldOut:
    """Problems that must not be fitted on.

    Two problems overlap if they share a run of 13 words (definition of a word:
    ``trimtab.text.overlap``), the measure of Brown et al. 2020, arXiv 2005.14165. Shorter problems
    are compared whole.
    """

    def __init__(self, problems: Iterable[str]) -> None:
        """Index the problems."""
        self._hashes: set[str] = set()
        self._ngrams: set[tuple[str, ...]] = set()
        for problem in problems:
            self._hashes.add(problem_hash(problem))
            self._ngrams |= _ngrams(problem)

    def holds(self, problem: str) -> bool:
        """Return whether ``problem`` itself is one of them, in any spelling."""
        return problem_hash(problem) in self._hashes

    def overlaps(self, problem: str) -> bool:
        """Return whether ``problem`` is one of them or shares a run of 13 words with one."""
        return self.holds(problem) or not self._ngrams.isdisjoint(_ngrams(problem))


def _ngrams(problem: str) -> set[tuple[str, ...]]:
    found = words(problem)
    size = min(NGRAM_WORDS, len(found))
    return {tuple(found[i : i + size]) for i in range(len(found) - size + 1)} if found else set()
