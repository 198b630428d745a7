"""Numbers written in many ways are worth what was written, and no text is too long."""

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trimtab.text.answers import canonical, chat, gold_number
from trimtab.text.decimals import decimal_mark, written
from trimtab.text.numerals import number

_CHARS = "0123456789.,'/-+$%^*{}()[]=:xe \n\u00bd\u00b2\u0663\u202f\\boxedfractext#answer is"


@pytest.mark.parametrize(
    ("digits", "mark"),
    [
        ("1234", ""), ("1.234", "?."), ("1,234", "?,"), ("1.234,5", ","), ("1,234.5", "."),
        ("12,5", ","), ("1.234.567", ""), ("0,125", ","), ("12,34,567", ""), ("1 234,567", ","),
        ("1,2,3", None), ("1.2.3", None), ("1,000,00", None), ("12'34", None),
    ],
)  # fmt: skip
def test_marks_are_told_apart(digits: str, mark: str | None) -> None:
    assert decimal_mark(digits) == mark


@settings(max_examples=300, deadline=None)
@given(value=st.integers(-(10**12), 10**12), group=st.sampled_from([",", ".", " ", "'", "\u202f"]))
def test_grouped_integers_are_read_back(value: int, group: str) -> None:
    text = f"{value:,}".replace(",", group)
    # one point in front of three digits is a decimal point
    if group == "." and abs(value) < 10**6:
        return
    assert number(text) == value
    assert canonical(chat(f"The answer is {text}.").answer or "") == str(value)
    assert gold_number(f"So.\n#### {text}") == str(value)


@settings(max_examples=300, deadline=None)
@given(top=st.integers(-9999, 9999), bottom=st.integers(1, 9999))
def test_fractions_and_their_canonical_form_are_read_back(top: int, bottom: int) -> None:
    value = Fraction(top, bottom)
    assert number(f"{top}/{bottom}") == value == number(written(value))
    assert number(rf"\frac{{{top}}}{{{bottom}}}") == value
    assert canonical(written(value)) == written(value)


@settings(max_examples=400, deadline=None)
@given(st.text(_CHARS, max_size=80))
def test_any_text_has_an_answer_that_is_a_number_or_none(text: str) -> None:
    answer = chat(text).answer
    if answer is not None:
        assert number(answer) is not None or answer.lstrip("-").isdigit(), answer


@pytest.mark.parametrize(
    "piece",
    ["the answer is ", "\\boxed{", "\\frac{1}{", "1 ", "1,", "9", "{", "^{", "#### ", "3-", "$",
     "(", "\\text{", "1/", "answer: 1 ", "- 5 ", "\u00bd", "**", "1 and "],
)  # fmt: skip
def test_long_repetitions_end(piece: str) -> None:
    # reading in quadratic time would take minutes
    assert chat(piece * (200_000 // len(piece))).rule != "boxed"
