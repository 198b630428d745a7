"""Numbers are short, and a missing one is a dash."""

import pytest

from trimtab.reports.draw.format import DASH, MINUS, number, p_equals, p_value, with_interval


@pytest.mark.parametrize(
    ("value", "percent", "text"),
    [(62.46, True, "62.5"), (-0.04, True, "0.0"), (None, True, DASH),
     (-0.0591, False, f"{MINUS}0.059"), (0.4567, False, "0.46"), (0.0, False, "0.000"),
     (123.456, False, "123.5"), (99_949.0, False, "99949.0"), (510_054_361_400.0, False, "5.1e11"),
     (-3e5, False, f"{MINUS}3.0e5")],
)  # fmt: skip
def test_numbers_are_short_and_a_missing_one_is_a_dash(value, percent, text):
    assert number(value, percent=percent) == text


def test_intervals_and_signs():
    assert with_interval(0.625, [0.551, 0.693], "rate") == "62.5 [55.1, 69.3]"
    assert with_interval(0.042, [-0.01, 0.094], "rate", sign=True) == f"+4.2 [{MINUS}1.0, 9.4]"
    assert with_interval(1.5, (1.2, None), "number") == f"1.50 [1.20, {DASH}]"
    assert with_interval(None, None, "rate") == DASH
    assert p_value(0.00004) == "<0.001" and p_value(None) == DASH
    assert p_equals(0.00004) == "p < 0.001" and p_equals(0.031) == "p = 0.031"
