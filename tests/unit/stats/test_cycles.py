"""A series that repeats itself is found, and noise as often as chance has it."""

import numpy as np
import pytest

from trimtab.stats.cycles import cycle, periodogram


def test_what_repeats_is_found_at_its_period_and_harmonics() -> None:
    rng = np.random.default_rng(0)
    profile = rng.random(20)
    values = [*rng.random(7), *np.tile(profile, 5)] + 0.05 * rng.random(107)
    found = cycle(values.tolist(), 20)
    assert found is not None and found.cycles == 5
    assert found.share > 0.95 and found.p < 1e-10
    assert found.expected == pytest.approx(19 / 99)
    wave = np.sin(2 * np.pi * np.arange(100) / 20)
    shares = dict(periodogram((wave + 0.01 * np.arange(100)).tolist()))
    assert max(shares, key=shares.__getitem__) == pytest.approx(20) and sum(
        shares.values()
    ) == pytest.approx(1)


def test_noise_is_found_as_often_as_chance_has_it() -> None:
    rng = np.random.default_rng(1)
    found = [cycle(rng.normal(size=100).tolist(), 10) for _ in range(1000)]
    small = [one.p < 0.05 for one in found if one is not None]
    assert 0.03 < np.mean(small) < 0.075
    mean = np.mean([one.share for one in found if one is not None])
    assert mean == pytest.approx(9 / 99, abs=0.01)


def test_the_analysis_of_variance_is_scipys() -> None:
    from scipy import signal, stats

    values = np.random.default_rng(2).random(60)
    found = cycle(values.tolist(), 6)
    rest = signal.detrend(values).reshape(10, 6)
    assert found is not None and found.p == pytest.approx(stats.f_oneway(*rest.T).pvalue)


def test_nothing_to_compare_is_none() -> None:
    assert cycle([1.0, 2.0, 1.0], 2) is None and cycle([1.0] * 8, 2) is None
    assert cycle(list(range(8)), 2) is None and cycle([0.0, 1.0] * 4, 1) is None
    exact = cycle([0.0, 1.0, 3.0] * 40, 3)
    assert exact is not None and exact.share > 0.99
    assert periodogram([1.0] * 9) == [] == periodogram([1.0, 2.0])
