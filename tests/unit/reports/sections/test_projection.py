"""Projections over a training: by treatment, trigger and update, beside the vector's pairs."""

import random
from types import SimpleNamespace

import pytest
from contrasted_run import contrasted_run, four, trained_run

from trimtab.core.spec import Component, Metric
from trimtab.reports.data.run import RunData
from trimtab.reports.sections.base import SECTIONS, View

PROJECTION = Component(name="projection", config={"layer": 1})
METRIC = Metric(name="projection", kind="number", role="effect", higher_is_better=None)
FITTED = {
    "vector_norm": 3.0,
    "residual_norm": 9.0,
    "projections": {"positive": 2.0, "negative": -2.0},
    "reliability": {"population_cosine": 0.9},
}


def view(conditions, component=PROJECTION, info=None):
    run = contrasted_run(conditions, metrics=(METRIC,), component=component)
    (judge,) = run.judges()
    judge = judge.model_copy(update={"artifacts": {"vector": "v"}})
    source = SimpleNamespace(**{**vars(run), "judges": lambda: (judge,)})
    source.artifact_info = lambda key: info if key == "v" else None
    data = RunData(source)
    section = SECTIONS.build("projection", {})
    content = section.read(data)
    return section, None if content is None else View(content.rounded(), data)


def values(level: float) -> list[list[float]]:
    return [[level + 0.1 * i] for i in range(10)]


def test_means_stand_between_the_answers_of_the_vector() -> None:
    levels = (-2.45, -1.45, -0.45, 1.55)
    section, shown = view(four(*map(values, levels)), info={"layers": {"1": FITTED}})
    content = shown.content
    (vector,) = content.vectors
    means = {(rate.treatment, rate.trigger): rate.mean for rate in content.rates}
    assert means["base", "none"] == pytest.approx(-2.0)
    assert means["tuned", "tag"] == pytest.approx(2.0)
    assert vector.share(-2.0) == 0 and vector.share(2.0) == 1 and vector.share(None) is None
    assert all(rate.interval[0] < rate.mean < rate.interval[1] for rate in content.rates)
    table, vectors = section.tables(shown)
    assert [row[1:3] for row in table.rows] == [
        *(("base", "none"), ("base", "tag"), ("tuned", "none"), ("tuned", "tag")),
    ]
    assert vectors.rows[0][1] == 1
    assert not section.figures(shown), "no training was measured along its updates"


def test_curves_are_those_of_trainings_and_the_base_they_begin_at() -> None:
    section, shown = view(trained_run(random.Random(2)))
    (figure,) = section.figures(shown)
    at = {(row[3], row[1], row[5]) for row in figure.rows}  # series, trigger, update
    assert {("base", "none", 0.0), ("tuned", "tag", 10.0), ("tuned", "tag", 20.0)} <= at
    assert {row[9] for row in figure.rows if row[3] == "tuned"} == {48}, "two seeds of 12 x 2"
    assert shown.content.vectors[0].share(1.0) is None


def test_without_that_judge_or_a_trigger_there_is_nothing_to_say() -> None:
    assert view(four(*map(values, range(4))), component=Component(name="exact"))[1] is None
    bare = [(name, role, {}, rows) for name, role, _, rows in four(*map(values, range(4)))]
    assert view(bare)[1] is None
