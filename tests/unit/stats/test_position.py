"""Among random vectors: how far counts, not which way; one more of them is rarely called more."""

import numpy as np
import pytest

from trimtab.stats.position import position_among, times_width


def test_a_vector_that_goes_less_far_than_random_ones_is_told_so_whatever_its_sign() -> None:
    drawn = {"a": [3.3], "b": [-1.0], "c": [0.2], "d": [-0.1]}
    for effect in (2.0, -2.0):
        place = position_among(effect, drawn)
        assert (place.exceeding, place.share) == (1, 0.25)
        assert place.interval.low < 0.25 < place.interval.high
        assert place.p_value > 0.2


def test_both_signs_of_a_direction_are_one_direction() -> None:
    both = position_among(1.0, {"a": [0.1, -0.1], "b": [0.2, -0.2], "c": [0.1, -0.1]})
    assert both.p_value is None and "3 random directions are too few" in both.test


def test_one_more_random_vector_is_significant_as_often_as_it_says() -> None:
    rng, hits = np.random.default_rng(0), 0
    for _ in range(1000):
        effect, *others = rng.normal(size=9)
        drawn = {str(k): [value] for k, value in enumerate(others)}
        hits += position_among(effect, drawn).p_value < 0.05
    assert 0.03 < hits / 1000 < 0.07


def test_a_shift_that_all_share_is_width() -> None:
    place = position_among(-5.0, {str(k): [-5.0 + 0.1 * k] for k in range(8)})
    assert place.exceeding == 1 and place.p_value > 0.2


def test_the_multiple_of_the_width_is_where_p_is_the_level() -> None:
    drawn = {str(k): [value] for k, value in enumerate((1.0, -1.0, 1.0, -1.0, 1.0, -1.0))}
    assert position_among(times_width(6, 0.01), drawn).p_value == pytest.approx(0.01)
    assert position_among(0.0, drawn).p_value == 1.0


def test_nothing_to_compare_with_and_numbers_that_are_none_are_refused() -> None:
    with pytest.raises(ValueError, match="0 random vectors"):
        position_among(1.0, {})
    with pytest.raises(ValueError, match="finite"):
        position_among(float("nan"), {"a": [1.0]})
