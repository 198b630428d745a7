"""Intervals of differences of rates that never vary: published values, and never a width of 0."""

import pytest

from trimtab.stats.hybrid import hybrid_interval
from trimtab.stats.intervals import wilson


def test_two_rates_give_newcombes_published_interval() -> None:
    # Newcombe 1998, table II, example (a): 56/70 against 48/80, method 10
    a, b = 56 / 70, 48 / 80
    found = hybrid_interval([(1, a, wilson(56, 70)), (-1, b, wilson(48, 80))])
    assert found.low == pytest.approx(0.0524, abs=5e-5)
    assert found.high == pytest.approx(0.3339, abs=5e-5)


def test_rates_that_never_vary_leave_room() -> None:
    found = hybrid_interval([(1, 1.0, wilson(30, 30)), (-1, 0.0, wilson(0, 30))])
    assert 0.8 < found.low < 0.9 and found.high == pytest.approx(1.0)
    zero = [(sign, 0.0, wilson(0, 30)) for sign in (1, -1, -1, 1)]
    nothing = hybrid_interval(zero)
    assert nothing.low == pytest.approx(-nothing.high) and nothing.high > 0.1
