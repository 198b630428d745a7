"""What a report leads with: the metric that the plan names, else the first that can be trusted."""

import pytest

from trimtab.reports.data.headline import headline_metric, shown_first
from trimtab.reports.data.run import RunData


@pytest.mark.parametrize(
    ("wanted", "metric"),
    [(None, "truth_info"), ("mc1", "mc1"), ("similarity", "similarity"), ("gone", "truth_info")],
)
def test_the_plan_names_the_metric_and_truth_and_information_lead_without(
    data, build, wanted, metric
):
    run = build()
    run.plan = run.plan.model_copy(update={"headline": wanted})
    chosen = headline_metric(data.numbers, wanted, ())
    assert chosen is not None and chosen[1].id == metric
    assert RunData(run).plan.headline == wanted


def test_an_opinion_leads_only_if_it_was_checked_against_people(data):
    numbers = data.numbers
    block = numbers.measures["generation"]
    opinion = block.metric("truth").model_copy(update={"name": "truth_p"})
    others = tuple(m for m in block.metrics if m.role != "effect")
    changed = block.model_copy(update={"metrics": (opinion, *others)})
    found = numbers.model_copy(update={"measures": {**numbers.measures, "generation": changed}})
    assert headline_metric(found, None, ())[1].id == "mc1"
    assert headline_metric(found, None, {opinion.judge})[1] is opinion


def test_the_best_treatment_and_the_last_one_are_shown_first(data):
    first = ["baseline", "prompt", "caa +0.6", "caa +0.9"]
    assert shown_first(data.numbers, "caa +0.6") == first
    assert shown_first(data.numbers, None)[2:] == ["caa -0.6", "caa +0.9"]
