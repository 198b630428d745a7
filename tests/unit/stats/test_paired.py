import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

from trimtab.stats.paired import (
    holm,
    mcnemar_exact,
    paired_difference,
    sign_flip_test,
)


def test_mcnemar_gives_the_published_value():
    assert mcnemar_exact(132, 105) == pytest.approx(0.0910, abs=5e-5)


@pytest.mark.parametrize("b, c", [(0, 0), (0, 1), (5, 5), (9, 2), (2, 9), (40, 70)])
def test_mcnemar_agrees_with_statsmodels(b, c):
    assert mcnemar_exact(b, c) == pytest.approx(mcnemar([[7, b], [c, 3]], exact=True).pvalue)


def test_difference_joins_on_keys_and_counts_what_it_drops():
    a = {"p": 1.0, "q": 0.0, "r": 1.0, "s": None, "t": math.nan, "only-a": 1.0, "u": 1.0}
    b = {"u": 1.0, "t": 1.0, "s": 1.0, "r": 0.0, "q": 1.0, "p": 0.0, "only-b": 0.0}
    result = paired_difference(a, b, None, seed=0)
    assert (result.n, result.num_dropped) == (4, 4)
    assert (result.wins, result.losses, result.ties) == (2, 1, 1)
    assert result.mean == pytest.approx(0.25)
    assert result.test == "exact McNemar"
    assert result.p_value == mcnemar_exact(2, 1)


def test_difference_does_not_depend_on_the_order_of_rows():
    rng = np.random.default_rng(0)
    a = {i: float(v) for i, v in enumerate(rng.normal(size=50))}
    b = {i: float(v) for i, v in enumerate(rng.normal(size=50))}
    clusters = {i: f"c{i % 20}" for i in a}
    backwards = dict(reversed(list(a.items())))
    for groups in (None, clusters):
        first = paired_difference(a, b, groups, seed=3)
        assert paired_difference(backwards, b, groups, seed=3) == first


def test_shared_questions_rule_out_mcnemar():
    a = {(q, i): 1.0 for q in range(4) for i in range(3)}
    b = dict.fromkeys(a, 0.0)
    result = paired_difference(a, b, {key: f"q{key[0]}" for key in a}, seed=0)
    assert (result.test, result.num_clusters) == ("exact sign flips of clusters", 4)
    # 12 wins out of 12 rows, but only 4 independent units: 2 of 2**4 patterns are as extreme.
    assert result.p_value == 2 / 16


def test_one_cluster_gives_neither_interval_nor_p_value():
    result = paired_difference({1: 1.0, 2: 0.5}, {1: 0.0, 2: 0.0}, {1: "q", 2: "q"}, seed=0)
    assert result.p_value is None
    assert "one cluster" in result.test
    assert not result.interval.is_defined
    assert result.mean == 0.75


def test_identical_conditions_are_all_ties():
    scores = {i: i / 7 for i in range(20)}
    result = paired_difference(scores, dict(scores), None, seed=0)
    assert (result.mean, result.p_value, result.ties) == (0.0, 1.0, 20)
    assert not result.interval.is_defined


def test_nothing_in_common_and_lost_clusters_are_errors():
    with pytest.raises(ValueError, match="none is scored in both"):
        paired_difference({"x": 1.0}, {"y": 1.0}, None, seed=0)
    with pytest.raises(ValueError, match="row 'x' has no cluster"):
        paired_difference({"x": 1.0}, {"x": 1.0}, {}, seed=0)


@given(st.lists(st.integers(-4, 4), min_size=0, max_size=8))
@settings(deadline=None)
def test_sign_flips_agree_with_brute_force(sums):
    patterns = list(itertools.product([1, -1], repeat=len(sums)))
    flipped = [abs(sum(s * x for s, x in zip(signs, sums, strict=True))) for signs in patterns]
    expected = sum(value >= abs(sum(sums)) for value in flipped) / len(patterns)
    # Tenths can't be represented exactly: ties must count all the same.
    assert sign_flip_test([x / 10 for x in sums], seed=0)[0] == expected


def test_random_sign_flips_approach_the_exact_test():
    sums = np.random.default_rng(1).normal(0.5, 1, size=14)
    signs = np.array(list(itertools.product([1, -1], repeat=14)))
    exact = np.mean(np.abs(signs @ sums) >= abs(sums.sum()) - 1e-12)
    p_value, test = sign_flip_test(sums, seed=0, num_flips=20_000)
    assert p_value == pytest.approx(exact, abs=0.01)
    assert "20000 random" in test
    assert sign_flip_test(sums + 10, seed=0, num_flips=99)[0] == 1 / 100


def test_sign_flips_on_binary_singletons_reduce_to_mcnemar():
    wins, losses = 8, 3
    p_value, _ = sign_flip_test([1.0] * wins + [-1.0] * losses + [0.0] * 30, seed=0)
    assert p_value == pytest.approx(mcnemar_exact(wins, losses))


def slow_holm(p_values):
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted, highest = [0.0] * len(p_values), 0.0
    for rank, i in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[i]))
        adjusted[i] = highest
    return adjusted


@given(st.lists(st.one_of(st.none(), st.floats(0, 1)), max_size=8))
@settings(deadline=None)
def test_holm_agrees_with_the_textbook_and_passes_none_through(p_values):
    result = holm(p_values)
    assert [p is None for p in result] == [p is None for p in p_values]
    tested = [p for p in p_values if p is not None]
    assert [p for p in result if p is not None] == pytest.approx(slow_holm(tested))


def test_holm_agrees_with_statsmodels():
    p_values = [0.04, 0.001, 0.001, 1.0, 0.0, 0.3, 0.012]
    assert holm(p_values) == pytest.approx(multipletests(p_values, method="holm")[1])


@pytest.mark.parametrize("bad", [math.nan, 1.5, -0.1])
def test_holm_refuses_what_is_not_a_p_value(bad):
    with pytest.raises(ValueError, match="holm"):
        holm([0.1, bad])
