"""Means over rows and repetitions: coverage by simulation, and nothing is certain by accident."""

import math

import numpy as np
import pytest

from trimtab.stats.crossed import crossed_interval, crossed_p_value, spread
from trimtab.stats.intervals import Interval, mean_interval_t


def simulate(rng, vectors: int, rows: int, sd_vectors: float) -> np.ndarray:
    """Return values [vectors, rows] of mean 0 with noise of vectors, rows and both."""
    noise = rng.normal(0, 0.6, (vectors, rows))
    return rng.normal(0, sd_vectors, (vectors, 1)) + rng.normal(0, 1.0, (1, rows)) + noise


@pytest.mark.parametrize("sd_vectors", [0.0, 0.3])
def test_the_interval_covers_and_one_of_rows_alone_does_not(sd_vectors: float) -> None:
    rng = np.random.default_rng(0)
    covered = naive = rejected = 0
    trials = 600
    for _ in range(trials):
        values = simulate(rng, 6, 80, sd_vectors)
        rows = mean_interval_t(values.mean(axis=0).tolist())
        among = spread(values.mean(axis=1).tolist())
        both = crossed_interval(float(values.mean()), rows, among)
        p = crossed_p_value(float(values.mean()), rows, among)
        covered += both.low <= 0 <= both.high
        naive += rows.low <= 0 <= rows.high
        rejected += p < 0.05
    assert 0.93 <= covered / trials <= 0.995
    assert rejected / trials <= 0.07
    assert naive / trials < 0.85 if sd_vectors else naive / trials > 0.92


def test_draws_that_overlap_are_corrected_to_fresh_ones() -> None:
    rng = np.random.default_rng(1)
    total, size = 60, 30
    fresh, drawn = [], []
    for _ in range(400):
        data = rng.normal(0, 1, total)
        means = [data[rng.permutation(total)[:size]].mean() for _ in range(8)]
        drawn.append(spread(means, size / total).sd ** 2)
        fresh.append(rng.normal(0, 1, (8, size)).mean(axis=1).var(ddof=1))
    assert np.mean(drawn) == pytest.approx(np.mean(fresh), rel=0.08)


def test_half_widths_add_in_quadrature() -> None:
    among = spread([1.0, 3.0])
    assert (among.mean, among.sd, among.low, among.high) == (2.0, pytest.approx(2**0.5), 1.0, 3.0)
    both = crossed_interval(2.0, Interval(1.0, 4.0, 0.95, "x"), among)
    across = 12.7062 * 1.0  # t at 1 degree of freedom times sd / sqrt(2)
    assert both.low == pytest.approx(2 - math.hypot(1.0, across), abs=1e-3)
    assert both.high == pytest.approx(2 + math.hypot(2.0, across), abs=1e-3)


def test_equal_or_single_vectors_have_no_spread_rather_than_none() -> None:
    rows = Interval(1.0, 4.0, 0.95, "x")
    for among in (spread([2.0]), spread([2.0, 2.0], share=1.0)):
        assert among.sd is None
        assert not crossed_interval(2.0, rows, among).is_defined
        assert crossed_p_value(2.0, rows, among) is None
    with pytest.raises(ValueError, match="share"):
        spread([1.0], share=1.5)
