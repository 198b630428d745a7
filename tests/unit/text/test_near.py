"""Near duplicates are what the exact similarity says they are, however they are found."""

import random

import pytest

from trimtab.core.errors import ConfigError
from trimtab.text import near


def test_hashing_finds_what_comparing_every_pair_finds() -> None:
    draw = random.Random(0)
    texts = []
    for _ in range(40):
        text = [draw.choice("abcdefgh") * draw.randint(1, 9) for _ in range(draw.randint(30, 80))]
        texts.append(" ".join(text))
        for place in draw.sample(range(len(text)), draw.randint(0, 3)):
            text[place] = "changed"
        texts.append(" ".join(text).upper())
    grams = [near.ngrams(text) for text in texts]
    expected: list[int | None] = []
    for number, own in enumerate(grams):
        kept = [n for n in range(number) if expected[n] is None]
        expected.append(next((n for n in kept if near.jaccard(grams[n], own) >= 0.8), None))
    assert near.near_duplicates(texts) == expected
    assert 10 < sum(first is not None for first in expected) < 40


def test_short_texts_are_compared_whole() -> None:
    assert near.near_duplicates(["A b!", "a b c", "a, B", "", ""]) == [None, None, 0, None, 3]


def test_without_the_library_it_is_said_what_to_do(monkeypatch) -> None:
    monkeypatch.setattr(near, "can_find_near", lambda: False)
    with pytest.raises(ConfigError, match=r"trimtab\[train\]"):
        near.near_duplicates(["a"])
