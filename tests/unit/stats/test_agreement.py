import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.inter_rater import cohens_kappa, to_table

from trimtab.stats.agreement import (
    agreement_rate,
    auc,
    cohen_kappa,
    weighted_kappa,
    weighted_kappa_interval,
)


@given(st.lists(st.tuples(st.integers(-3, 3), st.booleans()), min_size=1, max_size=12))
@settings(deadline=None)
def test_auc_agrees_with_counting_all_pairs(rows):
    positives = [score for score, label in rows if label]
    negatives = [score for score, label in rows if not label]
    pairs = [(p > q) + (p == q) / 2 for p, q in itertools.product(positives, negatives)]
    expected = sum(pairs) / len(pairs) if pairs else None
    assert auc(*map(list, zip(*rows, strict=True))) == (
        None if expected is None else pytest.approx(expected)
    )


def test_kappa_agrees_with_statsmodels():
    rng = np.random.default_rng(0)
    for num_labels in (2, 3, 5):
        a = rng.integers(0, num_labels, size=80)
        b = np.where(rng.random(80) < 0.6, a, rng.integers(0, num_labels, size=80))
        table, _ = to_table(np.column_stack([a, b]))
        expected = cohens_kappa(table, return_results=False)
        assert cohen_kappa(a.tolist(), b.tolist()) == pytest.approx(expected)


def test_weighted_kappa_agrees_with_statsmodels():
    rng = np.random.default_rng(1)
    a = rng.integers(1, 6, size=90)
    b = np.clip(a + rng.integers(-1, 3, size=90), 1, 5)
    table, _ = to_table(np.column_stack([a, b]), bins=np.arange(1, 7))
    expected = cohens_kappa(table, wt="quadratic", return_results=False)
    assert weighted_kappa(a.tolist(), b.tolist()) == pytest.approx(expected)
    # far from zero no digit is lost
    moved = weighted_kappa((a + 1e6).tolist(), (b + 1e6).tolist())
    assert moved == pytest.approx(expected)
    assert weighted_kappa([3.0, 3.0], [3.0, 3.0]) is None
    assert weighted_kappa([1.0, 2.0], [2.0, 1.0]) == -1.0


def test_weighted_kappas_interval_covers_and_draws_whole_clusters():
    rng = np.random.default_rng(2)
    hits = 0
    for seed in range(60):
        true = rng.normal(size=120)
        a, b = true + rng.normal(size=120), true + rng.normal(size=120)
        interval = weighted_kappa_interval(
            a.tolist(), b.tolist(), list(range(120)), seed=seed, num_resamples=400
        )
        hits += interval.low <= 0.5 <= interval.high
    assert 51 <= hits <= 60
    same = weighted_kappa_interval([1.0, 2.0], [1.0, 3.0], ["q", "q"], seed=0)
    assert not same.is_defined and "one cluster" in same.method


def test_kappa_is_undefined_where_chance_explains_everything():
    assert cohen_kappa(["yes"] * 5, ["yes"] * 5) is None
    # Never agreeing with constant, different labels is what chance predicts.
    assert cohen_kappa(["yes"] * 5, ["no"] * 5) == 0.0
    assert cohen_kappa(["y", "n"], ["n", "y"]) == -1.0


def test_agreement_counts_equal_labels():
    assert agreement_rate(["a", "b", "c", "a"], ["a", "c", "c", "a"]) == 0.75


def test_missing_labels_and_scores_are_refused():
    with pytest.raises(ValueError, match="item 1 has no value"):
        cohen_kappa(["a", None], ["a", "b"])
    with pytest.raises(ValueError, match="2 items against 1"):
        agreement_rate(["a", "b"], ["a"])
    with pytest.raises(ValueError, match="no items"):
        agreement_rate([], [])
    with pytest.raises(ValueError, match="score nan"):
        auc([math.nan, 1.0], [0, 1])
    with pytest.raises(ValueError, match="label 2"):
        auc([0.0, 1.0], [2, 1])


def test_kappas_interval_is_that_of_resampled_clusters_and_covers() -> None:
    import random

    from trimtab.stats.agreement import kappa_interval

    rng = random.Random(0)
    a = [rng.random() < 0.5 for _ in range(120)]
    b = [x if rng.random() < 0.8 else not x for x in a]
    clusters = [f"q{i // 3}" for i in range(120)]
    found = kappa_interval(a, b, clusters, seed=1)
    slow = []
    for _ in range(1500):
        drawn = [rng.randrange(40) for _ in range(40)]
        rows = [3 * c + k for c in drawn for k in range(3)]
        slow.append(cohen_kappa([a[i] for i in rows], [b[i] for i in rows]))
    slow.sort()
    assert found.low == pytest.approx(slow[37], abs=0.03)
    assert found.high == pytest.approx(slow[1462], abs=0.03)
    assert not kappa_interval(a, b, ["one"] * 120, seed=1).is_defined
    assert not kappa_interval([1] * 9, [1] * 9, list("abcdefghi"), seed=1).is_defined


def test_krippendorffs_alpha_of_the_published_example() -> None:
    from trimtab.stats.agreement import krippendorff_alpha

    # Krippendorff, Computing Krippendorff's Alpha-Reliability (2011), section C: nominal 0.743.
    none = None
    raters = [
        (1, 2, 3, 3, 2, 1, 4, 1, 2, none, none, none),
        (1, 2, 3, 3, 2, 2, 4, 1, 2, 5, none, 3),
        (none, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, none),
        (1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, none),
    ]
    assert krippendorff_alpha(list(zip(*raters, strict=True))) == pytest.approx(0.743, abs=5e-4)
    assert krippendorff_alpha([(1, 1), (1, None)]) is None
    assert krippendorff_alpha([(1, 1), (0, 0)]) == 1.0
