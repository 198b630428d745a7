"""Intervals over seeds and their questions, against cases that are known."""

import pytest
from scipy import stats

from trimtab.stats.nested import mean_p_value_t, nested_bootstrap_mean


def test_groups_and_their_values_are_both_drawn() -> None:
    flat = nested_bootstrap_mean([[0.0] * 50, [1.0] * 50], seed=1)
    assert (flat.low, flat.high) == (0.0, 1.0), "two seeds: a resample may be one of them twice"
    mixed = [[0.0, 1.0] * 25] * 2
    alike = nested_bootstrap_mean(mixed, seed=1)
    half = 1.96 * (0.25 / 50) ** 0.5  # drawn twice, groups are drawn anew each time
    assert alike.high - alike.low == pytest.approx(2 * half / 2**0.5, rel=0.1)
    assert nested_bootstrap_mean(mixed, seed=1) == alike
    assert not nested_bootstrap_mean([[0.0, 1.0]], seed=1).is_defined
    with pytest.raises(ValueError, match="at least one value each"):
        nested_bootstrap_mean([[1.0], []], seed=1)


def test_the_p_value_is_students() -> None:
    values = [0.3, 0.1, 0.5]
    assert mean_p_value_t(values) == pytest.approx(stats.ttest_1samp(values, 0).pvalue)
    assert mean_p_value_t([0.3]) is None and mean_p_value_t([0.3, 0.3]) is None
