import itertools
import math
import random

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from trimtab.stats.intervals import cluster_bootstrap_mean, mean_interval_t, wilson


def test_wilson_gives_the_published_interval():
    interval = wilson(692, 1319)
    assert (round(100 * interval.low, 1), round(100 * interval.high, 1)) == (49.8, 55.1)


@pytest.mark.parametrize("level", [0.8, 0.95, 0.99])
def test_wilson_agrees_with_statsmodels(level):
    for successes, n in [(0, 1), (1, 1), (0, 20), (3, 7), (817, 817), (400, 817)]:
        interval = wilson(successes, n, level)
        expected = proportion_confint(successes, n, alpha=1 - level, method="wilson")
        assert (interval.low, interval.high) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("successes, n", [(0, 0), (-1, 5), (6, 5)])
def test_wilson_refuses_impossible_counts(successes, n):
    with pytest.raises(ValueError, match="wilson"):
        wilson(successes, n)


def test_t_interval_agrees_with_scipy():
    values = np.random.default_rng(0).normal(3, 2, size=15).tolist()
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.9)
    interval = mean_interval_t(values, 0.9)
    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high))


def test_bootstrap_converges_to_the_enumerated_distribution():
    groups = {"x": [0.0, 1.0, 5.0], "y": [2.0], "z": [3.0, 3.5], "w": [-1.0]}
    means = []
    for drawn in itertools.product(groups, repeat=len(groups)):
        rows = [value for name in drawn for value in groups[name]]
        means.append(sum(rows) / len(rows))
    values = [value for rows in groups.values() for value in rows]
    clusters = [name for name, rows in groups.items() for _ in rows]
    # At level 0.5 the ends lie where the discrete distribution is dense.
    interval = cluster_bootstrap_mean(values, clusters, seed=1, num_resamples=40_000, level=0.5)
    assert interval.low == pytest.approx(np.quantile(means, 0.25), abs=0.05)
    assert interval.high == pytest.approx(np.quantile(means, 0.75), abs=0.05)


def test_bootstrap_of_singletons_agrees_with_scipy():
    values = np.random.default_rng(3).exponential(size=200)
    interval = cluster_bootstrap_mean(values.tolist(), range(200), seed=0, num_resamples=20_000)
    expected = stats.bootstrap(
        (values,), np.mean, n_resamples=20_000, method="percentile", rng=5
    ).confidence_interval
    assert interval.low == pytest.approx(expected.low, abs=0.01)
    assert interval.high == pytest.approx(expected.high, abs=0.01)


def test_copies_of_a_row_do_not_narrow_a_clustered_interval():
    values = np.random.default_rng(4).normal(size=40).tolist()
    once = cluster_bootstrap_mean(values, range(40), seed=0)
    copied = cluster_bootstrap_mean(values * 10, list(range(40)) * 10, seed=0)
    assert (copied.low, copied.high) == pytest.approx((once.low, once.high))


def test_bootstrap_ignores_the_order_of_rows_and_repeats_with_its_seed():
    values = [0.1 * i for i in range(60)]
    clusters = [f"c{i % 7}" for i in range(60)]
    rows = list(zip(values, clusters, strict=True))
    random.Random(0).shuffle(rows)
    first = cluster_bootstrap_mean(values, clusters, seed=9)
    assert cluster_bootstrap_mean(*map(list, zip(*rows, strict=True)), seed=9) == first
    assert cluster_bootstrap_mean(values, clusters, seed=10) != first


def test_blocks_of_resamples_do_not_change_the_result(monkeypatch):
    values, clusters = [float(i % 5) for i in range(50)], [i % 25 for i in range(50)]
    whole = cluster_bootstrap_mean(values, clusters, seed=2)
    monkeypatch.setattr("trimtab.stats.resampling.BLOCK_CELLS", 1000)
    blocks = cluster_bootstrap_mean(values, clusters, seed=2)
    assert (blocks.low, blocks.high) == pytest.approx((whole.low, whole.high), abs=1e-12)


def test_data_without_spread_give_no_interval_rather_than_a_point():
    one_cluster = cluster_bootstrap_mean([0.0, 1.0, 2.0], ["q"] * 3, seed=0)
    equal_means = cluster_bootstrap_mean([0.1] * 7, ["a", "a", "a", "b", "b", "c", "d"], seed=0)
    one_value, equal_values = mean_interval_t([2.0]), mean_interval_t([2.0, 2.0])
    for interval in (one_cluster, equal_means, one_value, equal_values):
        assert math.isnan(interval.low)
        assert not interval.is_defined
        assert interval.method.startswith("none: ")
    assert "one cluster" in one_cluster.method


def test_bad_values_are_refused():
    with pytest.raises(ValueError, match="no values"):
        cluster_bootstrap_mean([], [], seed=0)
    with pytest.raises(ValueError, match="nan at index 1"):
        cluster_bootstrap_mean([1.0, math.nan], [0, 1], seed=0)
    with pytest.raises(ValueError, match="2 values, but 1 cluster"):
        cluster_bootstrap_mean([1.0, 2.0], [0], seed=0)
    with pytest.raises(ValueError, match="level"):
        mean_interval_t([1.0, 2.0], 95)
