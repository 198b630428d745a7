"""A bank's vectors are pooled into one treatment, whose interval covers them too."""

import math

import pytest
from reported_run import build_run

from trimtab.core.plan import FitPlan, Plan
from trimtab.core.spec import Component
from trimtab.reports.data.run import RunData
from trimtab.reports.page.terminal import fit_tables
from trimtab.reports.sections.effects.tables import condition_table

NUM = 5
FIT = FitPlan(key="fit-1", component=Component(name="bank"), artifacts={"vector": "bank-1"})
RELIABILITY = ("mean_cosine", "split_half_measured", "split_half_predicted", "population_cosine")
INFO = {
    "num_pairs": 160,
    "num_questions": 80,
    "num_dropped": 3,
    "layers": {
        "15": {
            "vector_norm": 1.0,
            "residual_norm": 50.0,
            "reliability": dict.fromkeys(RELIABILITY, 0.5),
            "sizes": [
                {"asked": 20, "used": 20, "share": 0.25, "mean_cosine": 0.9},
                {"asked": 60, "used": 60, "share": 0.75, "mean_cosine": 0.99},
            ],
            "curve": [
                {"n": 20, "measured": 0.71, "predicted": 0.72},
                {"n": 40, "measured": 0.812, "predicted": 0.82},
            ],
            "questions_needed": {"0.9": 17, "0.95": None},
            "steerability": {"mean": 0.5, "sd": 0.1, "anti_steered": 0.125},
        }
    },
}


@pytest.fixture(scope="module")
def run():
    """The made-up run, whose five treatments are now vectors of a bank at one strength."""
    run = build_run(measures=("generation", "options"), errors=0.0)
    labels = list(dict.fromkeys(c.condition for c in run.plan.cells if c.role == "treatment"))
    place = {"series": "bank of 20", "strength": 0.4, "unit": "relative", "layer": 15, "size": 20}
    cells = [
        cell.model_copy(
            update={
                "condition": f"bank of 20 +0.4 #{labels.index(cell.condition) + 1}",
                "coordinates": {**place, "vector": labels.index(cell.condition)},
                "intervention": Component(name="bank"),
                "artifacts": {"vector": "bank-1"},
            }
        )
        if cell.role == "treatment"
        else cell
        for cell in run.plan.cells
    ]
    run.plan = Plan.single(
        recipe="r", name="n", seed=11, cells=cells, fits=(FIT,), judges=run.plan.judges
    )
    run.artifact_info = lambda key: INFO
    return RunData(run)


def test_the_pool_is_the_treatment_and_its_vectors_are_not_tested(run, show) -> None:
    groups = {c.condition: c.group for c in run.numbers.conditions}
    pool = f"bank of 20 +0.4, {NUM} vectors"
    assert groups[pool] == "treatment"
    assert [c for c, g in groups.items() if g == "treatment"] == [pool]
    effects = [metric for _, _, metric in run.numbers.metrics() if metric.role == "effect"]
    assert run.numbers.tests == len(effects)
    assert {v.condition for v in show("verdicts", run).content.verdicts} == {pool}


def test_mean_spread_and_interval_are_those_of_the_vectors(run) -> None:
    block = run.numbers.measures["options"]
    pool = block.numbers(f"bank of 20 +0.4, {NUM} vectors", "mc2")
    single = [
        block.numbers(f"bank of 20 +0.4 #{k}", "mc2").vs_baseline.difference
        for k in range(1, NUM + 1)
    ]
    found = pool.vs_baseline
    mean = sum(single) / NUM
    assert found.difference == pytest.approx(mean)
    sd = math.sqrt(sum((x - mean) ** 2 for x in single) / (NUM - 1) / 0.75)
    assert found.vectors.sd == pytest.approx(sd)
    assert (found.vectors.low, found.vectors.high) == pytest.approx((min(single), max(single)))
    across = 2.776445 * sd / math.sqrt(NUM)
    low, high = found.interval_questions
    assert found.interval == pytest.approx(
        [mean - math.hypot(mean - low, across), mean + math.hypot(high - mean, across)], abs=1e-6
    )
    assert found.p > 0.05 and found.test == "t, questions and vectors"
    assert pool.vectors is not None and block.numbers("prompt", "mc2").vectors is None


def test_tables_show_the_pool_and_the_spread(run, show) -> None:
    shown = [row[0] for row in condition_table(run, "options").texts]
    assert f"bank of 20 +0.4, {NUM} vectors" in shown and "bank of 20 +0.4 #1" not in shown
    table = show("bank", run).tables()["bank_vectors"]
    assert {row[3] for row in table.texts} == {str(NUM)} and table.texts[0][-1] == "25 %"


def test_a_bank_is_told_with_what_each_size_is_worth(run, show) -> None:
    tables = show("vectors", run).tables()
    told = ("17", "never", "0.5 (sd 0.1)", "12 %")
    assert [row[1:] for row in tables["bank"].texts] == [
        ("20", "0.900", *told),
        ("60", "0.990", *told),
    ]
    assert [row[1:] for row in tables["reliability"].texts] == [
        ("20", "0.710", "0.720", "-0.010"),
        ("40", "0.812", "0.820", "-0.008"),
    ]
    titles = [table.title for table in fit_tables(run.source)]
    assert titles == ["Vectors", "Vector bank", "Reliability of the bank"]
    assert tables["vectors"].texts[0][1] == "160, 3 left out"
    headline = show("vectors", run).section.headline(show("vectors", run).view)
    assert [table.name for table in headline] == ["bank", "reliability"]


def test_the_pool_has_categories_of_its_own(run, show) -> None:
    content, pool = show("categories", run).content, f"bank of 20 +0.4, {NUM} vectors"
    assert content.conditions == ("prompt", pool)
    numbers = run.numbers.measures[content.measure].numbers(pool, content.metric)
    changes = [change for row in content.rows if (change := row.changes[pool])]
    n = sum(change.n for change in changes)
    mean = sum(change.n * change.difference for change in changes) / n
    assert mean == pytest.approx(numbers.vs_baseline.difference)


def test_a_run_without_a_bank_has_no_such_table(build, show) -> None:
    assert show("bank", build(measures=("options",))).content is None
    assert fit_tables(build(measures=("options",))) == []
