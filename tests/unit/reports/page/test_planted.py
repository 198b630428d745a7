"""Statements about runs whose truth is known: a null stays a null, an effect is found, see also
``bench/statements.py`` for many runs."""

import math

import pytest
from planted import STRENGTHS, claims, planted_run

from trimtab.reports.data.expected import expected
from trimtab.reports.data.run import RunData
from trimtab.reports.sections.effects.finding import effect_finding

RUNS = 12


def told(**planted):
    """Return the findings of some runs."""
    return [effect_finding(RunData(planted_run(seed, **planted))).text for seed in range(RUNS)]


def test_nothing_planted_is_rarely_called_an_effect() -> None:
    # one run in twenty may: three of twelve do so once in fifty times
    assert sum(map(claims, told())) <= 2


def test_random_against_random_is_never_called_an_effect() -> None:
    findings = told(treatment=None, random_spread=0.1)
    assert sum(map(claims, findings)) <= 1
    assert any("beyond random vectors" in text for text in findings), "they do differ from nothing"


def test_a_planted_difference_is_found_at_the_promised_power() -> None:
    run = planted_run(0)
    (promise,) = expected(run.plan, run.sample_sets)
    assert promise.tests == 2 * len(STRENGTHS) and (promise.questions, promise.clusters) == (
        120,
        40,
    )
    shift = promise.deviations * 0.1
    found = ["caa +0.3 raised mc2 by" in text for text in told(treatment=shift, noise=0.1)]
    # of twelve runs 9.6 on average
    assert sum(found) >= 6


@pytest.mark.parametrize("questions", [12, 40])
def test_what_can_not_be_established_is_promised_and_told_so(questions: int) -> None:
    run = planted_run(0, questions=questions, clusters=4, treatment=0.3, noise=0.01)
    (promise,) = expected(run.plan, run.sample_sets)
    assert promise.rate is None and promise.deviations is None and promise.allowed == 0
    assert promise.needed[0] > 30 and promise.directions == 8 and math.isfinite(promise.times)
    text = effect_finding(RunData(run)).text
    assert not claims(text) and "no difference of any size could be established" in text
    assert "over 4 clusters, too few for an interval to be trusted" in text
