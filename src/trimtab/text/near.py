"""Texts that say almost what an earlier one says, found by MinHash.

Two texts are near duplicates if the Jaccard similarity of their sets of word 5-grams reaches a
threshold (definition of a word: ``trimtab.text.overlap``; a text of fewer words is one gram).
Broder 1997, "On the resemblance and containment of documents". Candidates come from locality-
sensitive hashing (library datasketch, 128 permutations, a threshold below the wanted one), and each
is compared exactly: what is found is a near duplicate, and at the threshold a few may be missed.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from typing import Any

from trimtab.core.errors import ConfigError
from trimtab.text.overlap import words

NGRAM_WORDS = 5
THRESHOLD = 0.8
_PERMUTATIONS = 128
_LOOSER = 0.8
"""Candidates are looked for at this share of the threshold, so that few are missed."""


def can_find_near() -> bool:
    """Return whether the library is installed."""
    return importlib.util.find_spec("datasketch") is not None


def require_near() -> None:
    """Raise ConfigError if the library is not installed."""
    if not can_find_near():
        raise ConfigError(
            "Near duplicates need the package datasketch, which is not installed.",
            hint="Install it: pip install 'trimtab[train]'; or look for equal texts alone "
            "(`aligned.near_duplicates: null`).",
        )


def near_duplicates(texts: Sequence[str], threshold: float = THRESHOLD) -> list[int | None]:
    """Return for each text the number of the first earlier one that it nearly repeats, or None.

    An earlier text counts only if it repeats none itself, so each group has one that stays.

    Raises:
        ConfigError: The library is not installed.
    """
    require_near()
    from datasketch import MinHash, MinHashLSH

    index: Any = MinHashLSH(threshold=threshold * _LOOSER, num_perm=_PERMUTATIONS)
    grams = [ngrams(text) for text in texts]
    found: list[int | None] = []
    for number, own in enumerate(grams):
        sketch = MinHash(num_perm=_PERMUTATIONS, seed=1)
        sketch.update_batch([" ".join(gram).encode() for gram in own])
        alike = [n for n in sorted(index.query(sketch)) if jaccard(grams[n], own) >= threshold]
        found.append(alike[0] if alike else None)
        if not alike:
            index.insert(number, sketch)
    return found


def ngrams(text: str) -> frozenset[tuple[str, ...]]:
    """Return the word 5-grams of a text; all its words where it has fewer."""
    found = words(text)
    size = min(NGRAM_WORDS, len(found))
    return frozenset(tuple(found[i : i + size]) for i in range(len(found) - size + 1))


def jaccard(one: frozenset[tuple[str, ...]], other: frozenset[tuple[str, ...]]) -> float:
    """Return the share of all that two sets have in common; 1 for two that are empty."""
    every = len(one | other)
    return len(one & other) / every if every else 1.0
