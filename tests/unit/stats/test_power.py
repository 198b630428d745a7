"""What can be found: closed forms against simulations of the tests that are used."""

import math

import numpy as np
import pytest
from scipy import stats

from trimtab.stats.paired import mcnemar_exact, sign_flip_test
from trimtab.stats.power import (
    clusters_needed,
    detectable_errors,
    detectable_rate,
    least_p,
    minimum_detectable_difference,
    questions_needed,
)


@pytest.mark.parametrize("clusters", [2, 6, 10, 12, 40])
def test_the_least_p_is_that_of_clusters_that_all_agree(clusters: int) -> None:
    p, _ = sign_flip_test(np.ones(clusters), seed=0)
    assert p == pytest.approx(least_p(clusters))
    assert mcnemar_exact(clusters, 0) == pytest.approx(2.0 ** (1 - clusters))


def test_ten_clusters_and_forty_five_tests_can_establish_nothing() -> None:
    level = 0.05 / 45
    assert detectable_errors(10, level) is None and detectable_rate(12, 10, level) is None
    assert clusters_needed(level) == 11 and detectable_errors(11, level) is not None
    assert detectable_rate(40, 33, level) < 0.35 < detectable_rate(30, 25, level)
    assert questions_needed(12 / 10, 0.35, level) == 40
    # more tests than random flips can tell: no number of clusters is enough
    assert clusters_needed(0.05 / 600) is None and questions_needed(1, 1 / 3, 0.05 / 600) is None


@pytest.mark.parametrize(
    ("clusters", "level"), [(6, 0.05), (11, 0.05 / 45), (12, 0.01), (20, 0.05 / 20), (40, 0.05)]
)
def test_a_difference_is_found_as_often_as_promised(clusters: int, level: float) -> None:
    shift = detectable_errors(clusters, level) / math.sqrt(clusters)
    rng = np.random.default_rng(1)
    patterns = (
        np.arange(2**clusters)[:, None] >> np.arange(clusters) & 1
        if clusters <= 12
        else rng.integers(0, 2, size=(4000, clusters))
    )
    found = rng.standard_normal((300, clusters)) + shift
    flipped = np.abs((1 - 2 * patterns) @ found.T)
    extreme = (flipped >= np.abs(found.sum(1)) - 1e-9).mean(0)
    assert np.mean(extreme < level) == pytest.approx(0.8, abs=0.1)


@pytest.mark.parametrize(("questions", "clusters"), [(40, 40), (40, 20), (120, 30)])
def test_a_rate_is_found_as_often_as_promised(questions: int, clusters: int) -> None:
    level = 0.05 / 10
    rate = detectable_rate(questions, clusters, level)
    changed = np.random.default_rng(2).random((4000, clusters, questions // clusters)) < rate
    flips = changed.any(2).sum(1)
    p = [least_p(int(k)) if k else 1.0 for k in flips]
    assert np.mean(np.array(p) < level) == pytest.approx(0.8, abs=0.03)


@pytest.mark.parametrize("n", [817, 1319])
def test_detectable_difference_is_near_the_rule_of_thumb(n):
    # (1.96 + 0.84) * sqrt(q / n): 4.38 points for TruthfulQA and 3.45 for GSM8K at q = 20 %.
    assert minimum_detectable_difference(n, 0.2) == pytest.approx(2.8 * (0.2 / n) ** 0.5, abs=1e-4)


def test_detectable_difference_has_the_power_it_promises():
    n, discordant = 400, 0.3
    difference = minimum_detectable_difference(n, discordant)
    chances = [(discordant + difference) / 2, (discordant - difference) / 2, 1 - discordant]
    draws = np.random.default_rng(0).multinomial(n, chances, size=20_000)
    z = (draws[:, 0] - draws[:, 1]) / np.sqrt(draws[:, 0] + draws[:, 1])
    assert np.mean(np.abs(z) > stats.norm.ppf(0.975)) == pytest.approx(0.8, abs=0.015)


def test_detectable_difference_is_nan_where_none_is_possible():
    assert math.isnan(minimum_detectable_difference(5, 0.1))
    with pytest.raises(ValueError, match="discordant_rate=0"):
        minimum_detectable_difference(100, 0)
