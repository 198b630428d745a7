"""Intervals of ranking quality: each resample against the plain functions, and coverage."""

import numpy as np
import pytest

from trimtab.stats.agreement import auc, rank_correlation
from trimtab.stats.ranking import auc_interval, rank_correlation_interval
from trimtab.stats.resampling import resampled_weights

CLUSTERS = [f"q{i // 3}" for i in range(30)]


def slow(statistic, one, other, seed, num_resamples):
    """Return the interval by repeating items as often as their clusters were drawn."""
    _, codes = np.unique(CLUSTERS, return_inverse=True)
    found = []
    for block in resampled_weights(10, seed=seed, num_resamples=num_resamples):
        for weights in block:
            items = np.repeat(np.arange(30), weights[codes].astype(int))
            try:
                found.append(statistic([one[i] for i in items], [other[i] for i in items]))
            except (ValueError, ZeroDivisionError, FloatingPointError):
                found.append(None)
    defined = [x for x in found if x is not None and not np.isnan(x)]
    return np.quantile(defined, [0.025, 0.975])


@pytest.fixture
def scores():
    # with ties
    return np.random.default_rng(0).integers(0, 9, 30).astype(float).tolist()


def test_auc_interval_equals_the_slow_form(scores) -> None:
    labels = (np.random.default_rng(1).random(30) < 0.5).astype(int).tolist()
    found = auc_interval(scores, labels, CLUSTERS, seed=4, num_resamples=300)
    assert [found.low, found.high] == pytest.approx(slow(auc, scores, labels, 4, 300))


def test_rank_correlation_interval_equals_the_slow_form(scores) -> None:
    other = (np.array(scores) + np.random.default_rng(2).integers(0, 8, 30)).tolist()
    found = rank_correlation_interval(scores, other, CLUSTERS, seed=5, num_resamples=300)
    expected = slow(rank_correlation, scores, other, 5, 300)
    assert [found.low, found.high] == pytest.approx(expected)


def test_what_has_no_spread_has_no_interval(scores) -> None:
    one = auc_interval(scores, [0, 1] * 15, ["q"] * 30, seed=0)
    assert not one.is_defined and "one cluster" in one.method
    rare = auc_interval(scores, [1] + [0] * 29, CLUSTERS, seed=0, num_resamples=200)
    assert not rare.is_defined
    flat = rank_correlation_interval(scores, [1.0] * 30, CLUSTERS, seed=0, num_resamples=200)
    assert not flat.is_defined
    with pytest.raises(ValueError, match="30 items, but 2"):
        auc_interval(scores, [0, 1] * 15, ["a", "b"], seed=0)


def test_the_true_area_is_covered_as_often_as_said() -> None:
    rng = np.random.default_rng(3)
    hits = 0
    for seed in range(80):
        shift = np.repeat(rng.normal(size=40), 4)
        labels = (rng.random(160) < 0.5).astype(int)
        found = auc_interval(
            (shift + rng.normal(size=160)).tolist(), labels.tolist(),
            np.repeat(np.arange(40), 4), seed=seed, num_resamples=300,
        )  # fmt: skip
        hits += found.low <= 0.5 <= found.high
    assert 70 <= hits <= 80
