"""What trainings changed over their replicas: the replica is the unit."""

import math
from dataclasses import replace

import pytest
from reported_run import build_run

from trimtab.reports.data.run import RunData
from trimtab.reports.data.seeds import over_seeds
from trimtab.reports.draw.format import DASH
from trimtab.reports.draw.values import write_cell

REPLICAS = {"caa +0.3": 0, "caa +0.6": 1, "caa +0.9": 2}
STUDENT_2 = 4.302652729911275  # t of 2 degrees of freedom, 97.5 %


def replicated(labels=tuple(REPLICAS), graded=None):
    """Return a run some of whose conditions are replicas of one training."""
    run = build_run(measures=("generation", "heldout"))
    cells = []
    for cell in run.plan.cells:
        place = dict(cell.coordinates)
        if cell.condition in labels:
            place = {"run": "honest", "replica": float(REPLICAS[cell.condition])}
        place |= {"graded": "own"} if cell.measure == graded else {}
        cells.append(cell.model_copy(update={"coordinates": place}))
    (fragment,) = run.plan.fragments
    fragment = fragment.model_copy(update={"cells": tuple(cells)})
    run.plan = run.plan.model_copy(update={"fragments": (fragment,)})
    return run


def test_a_change_is_the_mean_over_replicas_with_students_interval(show) -> None:
    shown = show("replicas", replicated())
    numbers = RunData(replicated()).numbers
    found = {(one.measure, one.metric): one for one in shown.content.changes}
    assert {one.run for one in shown.content.changes} == {"honest"}
    for (name, metric), one in found.items():
        measure = numbers.measures[name]
        each = [measure.numbers(label, metric).vs_baseline.difference for label in REPLICAS]
        mean = math.fsum(each) / 3
        width = STUDENT_2 * math.sqrt(sum((x - mean) ** 2 for x in each) / 2 / 3)
        assert one.change.mean == pytest.approx(mean, abs=1e-6)
        if not measure.metric(metric).is_rate:
            assert one.change.high == pytest.approx(mean + width, abs=1e-5)
        assert one.baseline == pytest.approx(measure.numbers("baseline", metric).mean, abs=1e-6)
    assert ("heldout", "nll_per_token") in found
    (table,) = shown.section.tables(shown.view)
    assert table.columns == ("measure", "metric", "baseline", "honest")
    assert 0 < len(table.rows) <= len(found)


def test_one_replica_and_gradings_of_answers_are_no_row(show) -> None:
    assert show("replicas", replicated(labels=("caa +0.3",))).content is None
    shown = show("replicas", replicated(graded="generation"))
    assert {one.measure for one in shown.content.changes} == {"heldout"}


def test_how_many_replicas_have_a_number_stands_with_their_mean(show) -> None:
    shown = show("replicas", replicated())
    one = shown.content.changes[0]
    lone = one.model_copy(update={"planned": 5})
    lost = one.model_copy(update={"change": over_seeds([None]), "run": "selfgrade"})
    content = shown.content.model_copy(update={"changes": (lone, lost)})
    (table,) = shown.section.tables(replace(shown.view, content=content))
    ((*_, of_five, dash),) = table.rows
    assert "(3 of 5)" in write_cell(of_five).text
    assert write_cell(dash).text == DASH
