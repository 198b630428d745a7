"""MC1, MC2, MC3, best against best and two letters, against slow re-implementations."""

import itertools
import math
from decimal import Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.core.types import Choice as Option
from trimtab.core.types import Completion, Message, Sample
from trimtab.judges.base import Item
from trimtab.judges.choice import Choice

ALL = ("mc1", "mc2")
BEST = (-5.0, Option(text="best", correct=True, sets=("mc1", "mc2", "binary")))
TRUE = (-9.0, Option(text="also true", correct=True, sets=("mc2",)))
WORST = (-6.0, Option(text="best false", correct=False, sets=("mc1", "mc2", "binary")))
FALSE = (-7.0, Option(text="false", correct=False, sets=ALL))


@pytest.fixture
def judge() -> Choice:
    return Choice(Choice.Config())


def values(judge, item):
    return judge.verdicts([item], None)[0].values


def test_the_published_formulas(judge, options_item) -> None:
    found = values(judge, options_item(BEST, TRUE, WORST, FALSE))
    true, false = math.exp(-5) + math.exp(-9), math.exp(-6) + math.exp(-7)
    assert found["mc1"] == 1.0
    assert found["mc2"] == pytest.approx(true / (true + false), rel=1e-12)
    assert found["mc3"] == 0.5
    assert found["binary"] == 1.0


def test_the_order_of_the_options_does_not_matter(judge, options_item) -> None:
    expected = values(judge, options_item(BEST, TRUE, WORST, FALSE))
    for order in itertools.permutations((BEST, TRUE, WORST, FALSE)):
        assert values(judge, options_item(*order)) == pytest.approx(expected, rel=1e-12)


def test_an_answer_outside_a_set_does_not_count_for_it(judge, options_item) -> None:
    # The most probable true answer is not the best answer, and MC1 must not see it.
    outsider = (-1.0, Option(text="likely", correct=True, sets=("mc2",)))
    weak = (-8.0, BEST[1])
    found = values(judge, options_item(outsider, weak, WORST, FALSE))
    assert (found["mc1"], found["binary"], found["mc3"]) == (0.0, 0.0, 0.5)


def test_ties_lose(judge, options_item) -> None:
    found = values(judge, options_item((-6.0, BEST[1]), WORST))
    assert (found["mc1"], found["mc3"], found["binary"]) == (0.0, 0.0, 0.0)
    assert found["mc2"] == 0.5


@given(
    true=st.lists(st.floats(-3000, 0), min_size=1, max_size=6),
    false=st.lists(st.floats(-3000, 0), min_size=1, max_size=6),
)
def test_mc2_equals_exact_arithmetic_far_below_underflow(true, false) -> None:
    choices = [Option(text="t", correct=True, sets=("mc2",))] * len(true)
    choices += [Option(text="f", correct=False, sets=("mc2",))] * len(false)
    item = Item(
        Sample(id="s", messages=(Message(role="user", content="?"),), choices=tuple(choices)),
        Completion(
            cell="c",
            sample_id="s",
            protocol="p",
            num_prompt_tokens=1,
            option_logprobs=(*true, *false),
            finish_reason="options",
        ),
    )
    with localcontext() as context:
        context.prec = 60
        share = sum(Decimal(v).exp() for v in true)
        share /= share + sum(Decimal(v).exp() for v in false)
    (verdict,) = Choice(Choice.Config(sets=("mc2",))).verdicts([item], None)
    assert verdict.values["mc2"] == pytest.approx(float(share), rel=1e-9, abs=1e-300)
    assert 0.0 <= verdict.values["mc2"] <= 1.0


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_none_fails_closed(judge, options_item, bad) -> None:
    # The bad number is in no set that MC1 reads, and the item is still not trusted.
    (verdict,) = judge.verdicts([options_item(BEST, WORST, (bad, TRUE[1]))], None)
    assert set(verdict.values.values()) == {None}
    assert "not finite" in verdict.error


def test_more_numbers_than_choices_is_unscored(judge, options_item) -> None:
    item = options_item(BEST, TRUE, WORST)
    sample = item.sample.model_copy(update={"choices": item.sample.choices[:2]})
    (verdict,) = judge.verdicts([Item(sample, item.completion)], None)
    assert set(verdict.values.values()) == {None}
    assert verdict.error == "3 log-probabilities for 2 choices"


def test_an_absent_set_leaves_only_its_own_metrics_unscored(judge, options_item) -> None:
    best = Option(text="best", correct=True, sets=ALL)
    (verdict,) = judge.verdicts([options_item((-5.0, best), FALSE)], None)
    assert verdict.values["binary"] is None and verdict.values["mc1"] == 1.0
    assert verdict.error == "no choice is in the set 'binary'"


def test_two_best_answers_are_an_error_and_no_guess(judge, options_item) -> None:
    (verdict,) = judge.verdicts([options_item(BEST, (-1.0, BEST[1]), WORST)], None)
    assert verdict.values["mc1"] is None
    assert "2 right and 1 wrong" in verdict.error


def test_configured_sets_are_the_metrics() -> None:
    assert [m.name for m in Choice(Choice.Config(sets=("mc2",))).metrics] == ["mc2", "mc3"]
    letters = Choice(Choice.Config(form="two_option"))
    assert [m.name for m in letters.metrics] == ["two_option", "two_option_choice"]


@pytest.mark.parametrize("right_first", [True, False])
def test_two_letters(options_item, right_first) -> None:
    right = (-1.0, Option(text="B", correct=True, sets=("two_option",)))
    wrong = (-2.0, Option(text="A", correct=False, sets=("two_option",)))
    item = options_item(*((right, wrong) if right_first else (wrong, right)))
    found = values(Choice(Choice.Config(form="two_option")), item)
    assert found["two_option"] == pytest.approx(1 / (1 + math.exp(-1)))
    assert found["two_option_choice"] == 1.0
