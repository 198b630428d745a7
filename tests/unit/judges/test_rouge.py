"""ROUGE-L against its definition, and what can't be measured."""

import random

import pytest

from trimtab.core.types import Completion, Message, Sample
from trimtab.judges.base import JUDGES, Item


def scored(text: str, target: str | None, config=None, **metadata):
    sample = Sample(
        id="a",
        messages=(Message(role="user", content="Summarise."),),
        target=target,
        metadata=metadata,
    )
    done = Completion(
        cell="c", sample_id="a", protocol="p", num_prompt_tokens=1, text=text, finish_reason="eos"
    )
    return JUDGES.build("rouge", config or {}).verdicts([Item(sample, done)], None)[0]


def common(a: list[str], b: list[str]) -> int:
    """Length of the longest common subsequence, by its recursion."""
    if not a or not b:
        return 0
    if a[-1] == b[-1]:
        return common(a[:-1], b[:-1]) + 1
    return max(common(a[:-1], b), common(a, b[:-1]))


def test_rouge_l_is_its_definition() -> None:
    drawn = random.Random(0)
    for _ in range(30):
        a, b = ([drawn.choice("abcd") for _ in range(drawn.randint(1, 6))] for _ in range(2))
        length = common(a, b)
        expected = 2 * length / (len(a) + len(b))
        assert scored(" ".join(a), " ".join(b)).values["rouge_l"] == pytest.approx(expected)


def test_endings_case_and_marks_count_for_nothing_unless_asked_for() -> None:
    text, target = "The councils VOTED to close pools!", "The council votes to close a pool."
    assert scored(text, target).values["rouge_l"] == pytest.approx(2 * 6 / 13)
    exact = scored(text, target, {"stem": False}).values["rouge_l"]
    assert exact == pytest.approx(2 * 3 / 13)


def test_the_nearest_of_several_references_counts_and_a_pass_is_above_its_bound() -> None:
    found = scored("a b c d", "x y", correct_answers=["a b", "z"])
    assert found.values["rouge_l"] == pytest.approx(2 / 3)
    assert found.values["rouge_pass"] == 1.0
    assert scored("a b c d", "a b", {"passes": 0.67}).values["rouge_pass"] == 0.0


def test_an_empty_answer_is_0_and_a_reference_without_words_is_unscored() -> None:
    assert scored("", "a b").values["rouge_l"] == 0.0
    assert scored("漢字", "a b").values["rouge_l"] == 0.0
    for target in ("漢字", None, "..."):
        verdict = scored("a b", target)
        assert set(verdict.values.values()) == {None} and verdict.error
