import itertools
import math
import random

import pytest

from trimtab.stats.reduce import mean_of, pass_at_k


def test_pass_at_k_is_the_mean_over_all_subsets():
    for n in range(1, 7):
        for c, k in itertools.product(range(n + 1), range(1, n + 1)):
            samples = [True] * c + [False] * (n - c)
            subsets = list(itertools.combinations(samples, k))
            assert pass_at_k(n, c, k) == pytest.approx(sum(map(any, subsets)) / len(subsets))


def test_pass_at_k_stays_exact_for_many_samples():
    assert pass_at_k(10_000, 1, 5_000) == pytest.approx(0.5)
    assert pass_at_k(2_000, 0, 1_000) == 0.0


@pytest.mark.parametrize("n, c, k", [(5, 2, 6), (5, 2, 0), (5, 6, 1), (5, -1, 1), (0, 0, 1)])
def test_pass_at_k_refuses_impossible_counts(n, c, k):
    with pytest.raises(ValueError, match="pass_at_k"):
        pass_at_k(n, c, k)


def test_missing_values_are_counted_and_never_zero():
    assert mean_of([1.0, None, 3.0, math.nan, math.inf]) == (2.0, 2, 3)
    assert mean_of([None, math.nan]) == (None, 0, 2)
    assert mean_of([]) == (None, 0, 0)


def test_mean_does_not_depend_on_the_order():
    values = [random.Random(i).uniform(-1, 1) * 10 ** (i % 12) for i in range(100)]
    assert mean_of(values) == mean_of(sorted(values)) == mean_of(values[::-1])
