"""A bank's vectors are pooled into one treatment, whose interval covers them too."""

import math
from types import SimpleNamespace

import pytest
from trimtab.reports.page.summary import summarise

from trimtab.core.plan import ArtifactPlan
from trimtab.core.spec import Component, ModelSpec
from trimtab.reports.draw.tables import all_tables, condition_table, vectors_table
from trimtab.reports.page.write import fit_tables, write_report
from trimtab.reports.sections.methods import artifact_table, bank_table, curve_table

NUM = 5
ARTIFACT = ArtifactPlan(
    key="bank-1",
    component=Component(name="bank"),
    rendering="chat",
    model=ModelSpec(id="tiny"),
    model_identity="m",
    pairs="p",
)
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
    fields = {**vars(made), "plan": made.plan.model_copy(update={"cells": tuple(cells)})}
    fields["plan"] = fields["plan"].model_copy(update={"artifacts": (ARTIFACT,)})
    return SimpleNamespace(**{**fields, "artifact_info": lambda key: INFO})


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


def test_a_bank_is_told_with_what_each_size_is_worth(run) -> None:
    told = ("17", "never", "0.5 (sd 0.1)", "12 %")
    assert [row[1:] for row in bank_table(run).rows] == [
        ("20", "0.900", *told),
        ("60", "0.990", *told),
    ]
    assert [row[1:] for row in curve_table(run).rows] == [
        ("20", "0.710", "0.720", "-0.010"),
        ("40", "0.812", "0.820", "-0.008"),
    ]
    titles = [table.title for table in fit_tables(run)]
    assert titles == ["Vectors", "Vector bank", "Reliability of the bank"]
    assert artifact_table(run).rows[0][1] == "160, 3 left out"


def test_the_pool_has_categories_of_its_own(run) -> None:
    summary = summarise(run)
    found, pool = summary["categories"], f"bank of 20 +0.4, {NUM} vectors"
    assert found["conditions"] == ["prompt", pool]
    entry = summary["measures"][found["measure"]]["conditions"][pool]["metrics"][found["metric"]]
    changes = [change for row in found["rows"] if (change := row["changes"][pool])]
    n = sum(change["n"] for change in changes)
    mean = sum(change["n"] * change["difference"] for change in changes) / n
    assert mean == pytest.approx(entry["vs_baseline"]["difference"])


def test_a_run_without_a_bank_has_no_such_table(build, summary) -> None:
    assert vectors_table(summary) is None and fit_tables(build()) == []
