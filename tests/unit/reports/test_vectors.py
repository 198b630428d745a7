"""A bank's vectors are pooled into one treatment, whose interval covers them too."""

import math
from types import SimpleNamespace

import pytest

from trimtab.core.spec import Component
from trimtab.reports.summary import summarise
from trimtab.reports.tables import all_tables, condition_table, vectors_table
from trimtab.reports.write import write_report

NUM = 5


@pytest.fixture(scope="module")
def run(build):
    """The made-up run, whose five treatments are now vectors of a bank at one strength."""
    made = build(measures=("generation", "options"), errors=0.0)
    labels = list(dict.fromkeys(c.condition for c in made.plan.cells if c.role == "treatment"))
    place = {"series": "bank of 20", "dose": 0.4, "unit": "relative", "layer": 15, "size": 20}
    cells = [
        cell.model_copy(
            update={
                "condition": f"bank of 20 +0.4 #{labels.index(cell.condition) + 1}",
                "coordinates": {**place, "vector": labels.index(cell.condition)},
                "intervention": Component(name="bank"),
                "artifact": "bank-1",
            }
        )
        if cell.role == "treatment"
        else cell
        for cell in made.plan.cells
    ]
    info = {"layers": {"15": {"sizes": [{"asked": 20, "share": 0.25}]}}}
    fields = {**vars(made), "plan": made.plan.model_copy(update={"cells": tuple(cells)})}
    return SimpleNamespace(**{**fields, "artifact_info": lambda key: info})


def test_the_pool_is_the_treatment_and_its_vectors_are_not_tested(run) -> None:
    summary = summarise(run)
    groups = {c["condition"]: c["group"] for c in summary["conditions"]}
    pool = f"bank of 20 +0.4, {NUM} vectors"
    assert groups[pool] == "treatment"
    assert [c for c, g in groups.items() if g == "treatment"] == [pool]
    effects = [
        m for b in summary["measures"].values() for m in b["metrics"] if m["role"] == "effect"
    ]
    assert summary["families"]["baseline"]["tests"] == len(effects)
    assert {v["condition"] for v in summary["verdicts"]} == {pool}


def test_mean_spread_and_interval_are_those_of_the_vectors(run) -> None:
    summary = summarise(run)
    entries = summary["measures"]["options"]["conditions"]
    pool = entries[f"bank of 20 +0.4, {NUM} vectors"]["metrics"]["mc2"]
    single = [
        entries[f"bank of 20 +0.4 #{k}"]["metrics"]["mc2"]["vs_baseline"]["difference"]
        for k in range(1, NUM + 1)
    ]
    found = pool["vs_baseline"]
    mean = sum(single) / NUM
    assert found["difference"] == pytest.approx(mean)
    sd = math.sqrt(sum((x - mean) ** 2 for x in single) / (NUM - 1) / 0.75)
    assert found["vectors"]["sd"] == pytest.approx(sd)
    assert (found["vectors"]["low"], found["vectors"]["high"]) == pytest.approx(
        (min(single), max(single))
    )
    across = 2.776445 * sd / math.sqrt(NUM)
    low, high = found["interval_questions"]
    assert found["interval"] == pytest.approx(
        [mean - math.hypot(mean - low, across), mean + math.hypot(high - mean, across)], abs=1e-6
    )
    assert found["p"] > 0.05 and found["test"] == "t, questions and vectors"
    assert "vectors" in pool and "vectors" not in entries["prompt"]["metrics"]["mc2"]


def test_tables_show_the_pool_and_the_spread(run, tmp_path) -> None:
    summary = summarise(run)
    shown = [row[0] for row in condition_table(summary, "options").rows]
    assert f"bank of 20 +0.4, {NUM} vectors" in shown and "bank of 20 +0.4 #1" not in shown
    table = vectors_table(summary)
    assert table is not None and table in all_tables(summary)
    assert {row[3] for row in table.rows} == {str(NUM)} and table.rows[0][-1] == "25 %"
    written = write_report(run, [], tmp_path)
    assert "Vectors of the bank" in written.html.read_text(encoding="utf-8")


def test_a_run_without_a_bank_has_no_such_table(summary) -> None:
    assert vectors_table(summary) is None
