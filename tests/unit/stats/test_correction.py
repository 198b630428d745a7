"""Corrected rates: algebra, and coverage when a judge's mistakes are simulated."""

import math
import random

import numpy as np
import pytest

from trimtab.stats.correction import (
    Measured,
    prediction_powered,
    rogan_gladen,
    rogan_gladen_difference,
)
from trimtab.stats.intervals import wilson


def of(hits: int, n: int) -> Measured:
    p = hits / n
    return Measured(p, p * (1 - p) / n)


def exactly(value: float) -> Measured:
    return Measured(value, 0.0)


@pytest.mark.parametrize("truth", [0.0, 0.2, 0.5, 1.0])
@pytest.mark.parametrize(("se", "sp"), [(0.9, 0.7), (1.0, 1.0), (0.55, 0.6), (0.3, 0.95)])
def test_what_the_error_rates_hide_is_found_again(truth, se, sp) -> None:
    seen = truth * se + (1 - truth) * (1 - sp)
    found = rogan_gladen(exactly(seen), exactly(se), exactly(sp))
    assert found.value == pytest.approx(truth)
    assert (found.interval.low, found.interval.high) == pytest.approx((truth, truth))
    gap = 0.3 * (se + sp - 1)
    assert rogan_gladen_difference(exactly(gap), exactly(se), exactly(sp)).value == pytest.approx(
        0.3
    )


def test_a_judge_that_chance_explains_corrects_nothing() -> None:
    for se, sp in ((of(50, 100), of(52, 100)), (of(20, 100), of(50, 100))):
        for estimate in (rogan_gladen, rogan_gladen_difference):
            found = estimate(of(30, 100), se, sp)
            assert found.value is None and not found.interval.is_defined
            assert "chance" in found.interval.method


def test_the_variance_is_that_of_many_repetitions() -> None:
    rng = np.random.default_rng(0)
    draws = 400_000
    p, se, sp, n, positives, negatives = 0.42, 0.85, 0.75, 400, 150, 180
    rate = rng.binomial(n, p, draws) / n
    a, b = rng.binomial(positives, se, draws) / positives, rng.binomial(negatives, sp, draws)
    many = (rate + b / negatives - 1) / (a + b / negatives - 1)
    found = rogan_gladen(
        Measured(p, p * (1 - p) / n),
        Measured(se, se * (1 - se) / positives),
        Measured(sp, sp * (1 - sp) / negatives),
    )
    half = (found.interval.high - found.interval.low) / 2
    assert half / 1.959964 == pytest.approx(many.std(), rel=0.05)


@pytest.mark.parametrize(("truth", "se", "sp"), [(0.3, 0.9, 0.8), (0.6, 0.7, 0.75)])
def test_intervals_cover_the_truth_and_the_raw_one_does_not(truth, se, sp) -> None:
    rng = random.Random(1)
    covered = {"rogan": 0, "ppi": 0, "raw": 0}
    trials, n, m = 400, 500, 300

    def judged(label: int) -> int:
        return int(rng.random() < (se if label else 1 - sp))

    for _ in range(trials):
        seen = [judged(int(rng.random() < truth)) for _ in range(n)]
        labels = [int(rng.random() < truth) for _ in range(m)]
        verdicts = [judged(label) for label in labels]
        rate = of(sum(seen), n)
        yes = [v for v, label in zip(verdicts, labels, strict=True) if label]
        no = [1 - v for v, label in zip(verdicts, labels, strict=True) if not label]
        errors = np.array(labels) - np.array(verdicts)
        error = Measured(float(errors.mean()), float(errors.var(ddof=1)) / m)
        intervals = {
            "rogan": rogan_gladen(rate, of(sum(yes), len(yes)), of(sum(no), len(no))).interval,
            "ppi": prediction_powered(rate, error).interval,
            "raw": wilson(sum(seen), n),
        }
        for name, interval in intervals.items():
            covered[name] += interval.low <= truth <= interval.high
    assert 0.92 <= covered["rogan"] / trials <= 0.985
    assert 0.92 <= covered["ppi"] / trials <= 0.985
    assert covered["raw"] / trials < 0.8


def test_prediction_powered_equals_the_plain_sum() -> None:
    found = prediction_powered(Measured(0.6, 0.0004), Measured(-0.1, 0.0005))
    assert found.value == pytest.approx(0.5)
    assert found.interval.high - found.value == pytest.approx(1.959964 * math.sqrt(0.0009))
    assert prediction_powered(Measured(0.95, 0.0), Measured(0.2, 0.01)).value == 1.0


def test_a_variance_is_read_off_an_interval() -> None:
    interval = wilson(500, 1000)
    assert Measured.from_interval(0.5, interval).variance == pytest.approx(0.25 / 1000, rel=0.01)
