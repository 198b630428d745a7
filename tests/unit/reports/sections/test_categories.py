"""Categories add up to the whole."""

import pytest


def test_categories_add_up_to_the_whole(show, build):
    shown = show("categories", build(unscored=0.0, errors=0.0))
    content = shown.content
    base = shown.run.shown.measures[content.measure].numbers("baseline", content.metric)
    total = sum(row.n * row.baseline for row in content.rows)
    assert total / sum(row.n for row in content.rows) == pytest.approx(base.mean)
    assert content.conditions[0] == "prompt" and len(content.rows) == 20
    assert shown.tables()["categories"].display == "folded"


def test_a_run_without_an_effect_has_none(show, build):
    assert show("categories", build(measures=("heldout",))).content is None
