"""Figures: equal bytes, the CSV beside them, and nothing drawn of what is not there."""

import copy
import csv
import math
import re

import pytest
from trimtab.reports.page.summary import summarise

from trimtab.reports.draw import style
from trimtab.reports.sections.effects.figures import write_figures
from trimtab.reports.sections.effects.panels import strength_points, tradeoff_points


def test_equal_summaries_give_equal_bytes(summary, tmp_path):
    first = write_figures(summary, tmp_path / "a")
    second = write_figures(summary, tmp_path / "b")
    assert [p.name for p in first] == [p.name for p in second]
    assert {p.suffix for p in first} == {".png", ".svg", ".csv"} and len(first) == 6
    for a, b in zip(first, second, strict=True):
        assert a.read_bytes() == b.read_bytes(), a.name


def test_the_csv_holds_the_points_in_the_units_of_the_axes(summary, tmp_path):
    write_figures(summary, tmp_path)
    with (tmp_path / "strength.csv").open(newline="") as file:
        rows = {(row["panel"], row["condition"]): row for row in csv.DictReader(file)}
    mean = summary["measures"]["options"]["conditions"]["caa +0.6"]["metrics"]["mc1"]["mean"]
    assert float(rows["mc1 %", "caa +0.6"]["y"]) == 100 * mean
    assert float(rows["perplexity ratio", "baseline"]["y"]) == 1


def test_the_tradeoff_sets_each_variants_effect_against_its_cost(summary):
    across, up, points = tradeoff_points(summary)
    assert across == "KL to baseline (nats/token)" and up == "Δ truth·info to baseline (points)"
    shown = {c["condition"]: c["group"] for c in summary["conditions"]}
    wanted = {name for name, group in shown.items() if group not in ("baseline", "pooled")}
    found = {point.condition: point for point in points}
    assert set(found) == wanted and {"treatment", "prompt", "random", "zero"} <= set(shown.values())
    for name, point in found.items():
        cost = summary["measures"]["options"]["conditions"][name]["metrics"]["kl"]["mean"]
        entry = summary["measures"]["generation"]["conditions"][name]["metrics"]
        effect = entry["truth_info"]["vs_baseline"]
        assert point.x == cost and point.y == 100 * effect["difference"]
        low, high = effect["interval"] or (math.nan, math.nan)
        drawn = [math.nan if end is None else end for end in (point.low, point.high)]
        assert drawn == pytest.approx([100 * low, 100 * high], nan_ok=True)


def test_one_huge_perplexity_does_not_press_the_others_flat(summary, tmp_path):
    changed = copy.deepcopy(summary)
    numbers = changed["measures"]["heldout"]["conditions"]["caa +0.9"]["metrics"]["nll_per_token"]
    numbers["perplexity_ratio"] = {"mean": 5e11, "interval": [2e11, 1e12]}
    for name, some, expected in [("plain", summary, False), ("huge", changed, True)]:
        write_figures(some, tmp_path / name)
        drawn = (tmp_path / name / "strength.svg").read_text()
        assert bool(re.search(r">1e1\d<", drawn)) == expected


def test_what_is_missing_has_no_point(build):
    summary = summarise(build(no_completions=("caa +0.6",), measures=("generation", "options")))
    found = tradeoff_points(summary)
    assert found is not None
    for points in (strength_points(summary), found[2]):
        assert points and "caa +0.6" not in {p.condition for p in points}


def test_a_panel_without_a_value_is_drawn_empty(build, tmp_path):
    labels = [cell.condition for cell in build(measures=("options",)).plan.cells]
    gone = tuple(label for label in labels if label != "baseline")
    judges = ("choice-5555", "perplexity-8888")
    summary = summarise(build(no_completions=gone, no_scores=judges))
    assert write_figures(summary, tmp_path)


def test_without_strengths_or_scores_there_is_no_figure(build, tmp_path):
    run = build(no_scores=[judge.key for judge in build().judges()])
    assert strength_points(summarise(run)) == []
    assert write_figures(summarise(run), tmp_path) == []


def test_labels_with_dollars_are_no_formulas(build, tmp_path):
    run = build(measures=("generation", "options"))
    cells = tuple(
        c.model_copy(update={"coordinates": {**c.coordinates, "series": "caa $x^$ <b>"}})
        if c.role == "treatment"
        else c
        for c in run.plan.cells
    )
    run.plan = run.plan.model_copy(update={"cells": cells})
    write_figures(summarise(run), tmp_path)
    for name in ("strength.svg", "tradeoff.svg"):
        assert "caa $x^$ &lt;b&gt;, layer 15" in (tmp_path / name).read_text()


def test_one_axis_of_strengths_has_one_unit(build):
    run = build(measures=("generation", "options"))
    cells = tuple(
        c.model_copy(update={"coordinates": {"series": "iti", "dose": 5.0}})
        if c.condition == "caa +0.6"
        else c
        for c in run.plan.cells
    )
    run.plan = run.plan.model_copy(update={"cells": cells})
    summary = summarise(run)
    assert {p.condition for p in tradeoff_points(summary)[2]} >= {"caa +0.6", "random +0.6 #1"}
    shown = {p.condition for p in strength_points(summary)}
    assert "caa +0.6" not in shown and "random +0.6 #1" in shown


def test_many_lines_look_different_and_none_like_a_control():
    looks = [style.series_look(index) for index in range(25)]
    assert len(set(looks)) == 25
    assert not {colour for colour, _ in looks} & {style.BASELINE, style.PROMPT, style.CONTROL}
