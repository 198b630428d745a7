import random
from collections import Counter
from dataclasses import dataclass
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from trimtab.datasets.sources import read_questions
from trimtab.datasets.splits import Fractions, in_split, spread
from trimtab.text.overlap import normalise_question

SPLITS = ("fit", "select", "test")
ALL_TEST = Fractions(fit=0, select=0, test=1)


@dataclass(frozen=True)
class Item:
    split_text: str
    stratum: str


def items(sizes):
    return [Item(f"Question {i} of {s}?", f"s{s}") for s, n in enumerate(sizes) for i in range(n)]


def split_all(data, fractions):
    return {split: in_split(data, split, fractions) for split in SPLITS}


@given(
    sizes=st.lists(st.integers(1, 30), min_size=1, max_size=20),
    shares=st.sampled_from([(0.4, 0.2, 0.4), (0.5, 0, 0.5), (0.1, 0.3, 0.6), (0, 0, 1), (1, 0, 0)]),
    seed=st.integers(0, 99),
)
def test_splits_partition_keep_to_fractions_and_ignore_order(sizes, shares, seed):
    data = items(sizes)
    fractions = Fractions(fit=shares[0], select=shares[1], test=shares[2])
    parts = split_all(data, fractions)
    assert sorted(chain(*parts.values()), key=repr) == sorted(data, key=repr)
    shuffled = list(data)
    random.Random(seed).shuffle(shuffled)
    for share, split in zip(shares, SPLITS, strict=True):
        assert abs(len(parts[split]) - share * len(data)) < 1
        assert set(in_split(shuffled, split, fractions)) == set(parts[split])
        counts = Counter(item.stratum for item in parts[split])
        for s, size in enumerate(sizes):
            assert abs(counts[f"s{s}"] - share * size) < 2


def test_spellings_of_one_question_share_a_split():
    data = items([40, 40])
    twins = [Item(f"  {item.split_text.upper()[:-1]} ", "z") for item in data]
    for split in SPLITS:
        part = in_split([*data, *twins], split, Fractions())
        texts = Counter(normalise_question(item.split_text) for item in part)
        assert set(texts.values()) <= {2}


def test_spread_takes_turns_and_grows():
    data = items([9, 5, 2])
    whole = spread(data, None)
    assert whole == data
    previous: list[Item] = []
    for limit in range(1, len(data) + 3):
        part = spread(data, limit)
        assert part[: len(previous)] == previous
        assert len(part) == min(limit, len(data))
        previous = part
    assert [item.stratum for item in spread(data, 7)] == ["s0", "s1", "s2"] * 2 + ["s0"]
    assert spread(data[::-1], 7) == spread(data, 7)


def test_fractions_must_sum_to_one():
    with pytest.raises(ValidationError, match=r"must be 1, they are 0\.9"):
        Fractions(fit=0.3)


def test_all_test():
    data = items([3, 3])
    assert in_split(data, "test", ALL_TEST) == data
    assert in_split(data, "fit", ALL_TEST) == []


def test_published_splits_are_disjoint_and_stratified(published):
    data = read_questions(str(published / "v1"))
    parts = split_all(data, Fractions())
    assert [len(parts[split]) for split in SPLITS] == [327, 163, 327]
    units = [{normalise_question(q.question) for q in parts[split]} for split in SPLITS]
    assert len(set.union(*units)) == sum(map(len, units)) == 817
    assert Counter(q.category for q in parts["fit"])["Misconceptions"] == 40
