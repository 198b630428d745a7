"""Means of questions are exactly rounded, whatever the order of rows; what is missing is NaN."""

import math
import random

import numpy as np

from trimtab.reports.data.units import mean_over, unit_means


def test_means_are_those_of_an_exact_sum_in_any_order() -> None:
    rng = random.Random(0)
    rows = [(rng.randrange(7), rng.choice([0.1, 0.2, 1e16, -1e16, 3.3])) for _ in range(60)]
    rows += [(9, 0.25), (8, math.nan)]
    expected = [math.fsum(v for u, v in rows if u == unit) for unit in range(7)]
    counts = [sum(u == unit for u, _ in rows) for unit in range(7)]
    for _ in range(3):
        rng.shuffle(rows)
        units, values = np.array([u for u, _ in rows]), np.array([v for _, v in rows])
        found = unit_means(units, values, 10).tolist()
        assert found[:7] == [total / n for total, n in zip(expected, counts, strict=True)]
        assert math.isnan(found[7]) and math.isnan(found[8]) and found[9] == 0.25


def test_conditions_are_pooled_over_those_that_have_a_value() -> None:
    parts = [np.array([1.0, math.nan, math.nan]), np.array([2.0, 4.0, math.nan])]
    assert mean_over(parts).tolist()[:2] == [1.5, 4.0] and math.isnan(mean_over(parts)[2])


def test_nothing_scored_has_no_means() -> None:
    none = unit_means(np.array([], dtype=np.int64), np.array([]), 2)
    assert np.isnan(none).all() and none.shape == (2,)
