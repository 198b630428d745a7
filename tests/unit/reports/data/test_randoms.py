"""Effects among random vectors of their length: which are compared, and what is then claimed."""

import pytest
from planted import planted_run

from trimtab.core.plan import Plan
from trimtab.reports.data.headline import established, largest_gains
from trimtab.reports.data.run import RunData
from trimtab.reports.sections.effects.finding import effect_finding


def numbers(run, label="caa +0.3", metric="mc2"):
    return RunData(run).numbers.measures["options"].conditions[label].metrics[metric]


def changed(run, label, **places):
    cells = [
        c.model_copy(update={"coordinates": {**c.coordinates, **places}})
        if c.condition.startswith(label)
        else c
        for c in run.plan.cells
    ]
    run.plan = Plan.single(recipe="r", name="n", cells=cells, judges=run.judges(), headline="mc2")
    return run


def test_a_negative_strength_is_compared_with_random_vectors_of_its_length() -> None:
    run = planted_run(1, treatment=-0.05, random_spread=0.2)
    for label in ("caa -0.3", "caa +0.3"):
        place = numbers(run, label).vs_random
        assert place.vectors == place.directions == 8 and place.exceeding > 0
        assert place.p_holm >= place.p > 0.05
    text = effect_finding(RunData(run)).text
    assert "random vectors of equal length went as far" in text and "raised" not in text


def test_an_effect_far_beyond_random_vectors_is_told_as_one() -> None:
    run = planted_run(2, treatment=0.2, random_spread=0.01)
    found = numbers(run)
    assert found.vs_random.exceeding == 0 and established(found)
    text = effect_finding(RunData(run)).text
    assert text.startswith("caa +0.3 raised mc2 by") and "farther than 8 random vectors" in text
    assert "chosen as the largest of 2 on the test split itself" in text


@pytest.mark.parametrize("draws", [1, 3])
def test_too_few_random_vectors_allow_no_claim(draws: int) -> None:
    run = planted_run(2, treatment=0.2, random_spread=0.01, draws=draws)
    assert numbers(run).vs_random.p is None and not established(numbers(run))
    assert "too few to compare with" in effect_finding(RunData(run)).text


def test_without_random_vectors_the_finding_says_that_none_was_compared() -> None:
    run = planted_run(2, treatment=0.2, draws=0)
    assert numbers(run).vs_random is None
    assert "not compared with random vectors" in effect_finding(RunData(run)).text


@pytest.mark.parametrize(
    "elsewhere", [{"layer": 7}, {"unit": "raw"}, {"strength": 0.5}, {"of": "another"}]
)
def test_random_vectors_of_another_place_or_length_are_not_compared_with(elsewhere) -> None:
    run = changed(planted_run(2, treatment=0.2), "random", **elsewhere)
    assert numbers(run).vs_random is None


def test_random_vectors_of_two_lengths_are_not_pooled() -> None:
    run = planted_run(2)
    made = {
        label: {"like": "a" if number < 4 else "b"}
        for number, label in enumerate(f"random +0.3 #{k + 1}" for k in range(8))
    }
    cells = [c.model_copy(update={"artifacts": made.get(c.condition, {})}) for c in run.plan.cells]
    run.plan = Plan.single(recipe="r", name="n", cells=cells, judges=run.judges(), headline="mc2")
    pools = [c for c in RunData(run).numbers.conditions if c.group == "pooled"]
    assert [len(pool.members) for pool in pools] == [4, 4]
    assert all(len({made[label]["like"] for label in pool.members}) == 1 for pool in pools)
    assert len({pool.condition for pool in pools}) == 2


def test_equal_gains_have_no_best_one() -> None:
    run = planted_run(3, noise=0.0, treatment=0.0)
    both = changed(run, "caa -0.3", series="caa")
    table = RunData(both)
    assert largest_gains(table.numbers, table.headline) == [] and table.best is None
    text = effect_finding(table).text
    assert "none differs in the right direction" in text


def test_a_negative_gain_is_never_the_best() -> None:
    run = planted_run(4, noise=0.001, treatment=-0.1)
    table = RunData(changed(run, "caa -0.3", strength=0.3, series="b"))
    (best,) = largest_gains(table.numbers, table.headline)
    assert best == "caa -0.3"
    assert "caa +0.3" not in effect_finding(table).text.partition(" Other ")[0]
