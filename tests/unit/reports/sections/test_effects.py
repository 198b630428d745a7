"""Effects: stars, dashes, what the finding claims, and figures of nothing that is not there."""

import csv
import math
import re

import pytest
from reported_run import build_run

from trimtab.core.plan import Plan
from trimtab.reports.data.numbers import PerplexityRatio
from trimtab.reports.data.run import RunData
from trimtab.reports.draw import style
from trimtab.reports.draw.format import DAGGER, DASH
from trimtab.reports.page.report import summarise
from trimtab.reports.sections.effects.panels import strength_points, tradeoff_points
from trimtab.reports.sections.effects.tables import condition_table, numbers_table


@pytest.fixture(scope="module")
def gappy():
    return RunData(build_run(no_completions=("caa -0.3",)))


@pytest.fixture
def write(show):
    """Return a function that writes the figures of a run's effects and returns their files."""

    def write_figures(run, folder):
        folder.mkdir(exist_ok=True)
        shown = show("effects", run)
        return [file for f in shown.section.figures(shown.view) for file in f.write(folder)]

    return write_figures


def test_a_star_means_holm(data):
    table = condition_table(data, "options")
    header = table.columns.index("mc2 %") + 1
    for row in table.rows:
        numbers = data.shown.measures["options"].numbers(row[0], "mc2")
        holm = numbers.vs_baseline and numbers.vs_baseline.p_holm
        assert bool(row[header] and row[header].significant) == (holm is not None and holm < 0.05)
    assert any(row[header] and row[header].significant for row in table.rows)


def test_a_condition_without_completions_is_a_row_of_dashes(gappy):
    row = next(r for r in condition_table(gappy, "generation").texts if r[0] == "caa -0.3")
    assert row[1] == "0/30"
    assert set(row[2:]) == {DASH, ""}


def test_the_joint_metric_leads_and_probabilities_stay_out(data):
    columns = condition_table(data, "generation").columns
    assert columns[2] == "truth·info %" and "truth_p %" not in columns


def test_all_numbers_are_a_file_of_unrounded_values(data):
    table = numbers_table(data.shown)
    assert table.display == "file"
    row = next(r for r in table.rows if r[:3] == ("options", "caa +0.6", "mc1"))
    numbers = data.shown.measures["options"].numbers("caa +0.6", "mc1")
    assert row[5] == repr(numbers.mean) and row[9] == repr(numbers.vs_baseline.difference)


def test_the_finding_names_the_best_treatment_and_its_controls(build):
    finding = summarise(build(num=120, measures=("generation",), draws=8))["finding"]
    assert finding.startswith("caa +0.6 raised truth·info by +")
    assert "farther than 8 random vectors of equal length" in finding
    assert "prompt alone gives" in finding
    assert "chosen as the largest of 5 on the test split itself" in finding
    two = summarise(build(num=120, measures=("generation",)))["finding"]
    assert not two.startswith("caa +0.6 raised"), "two random vectors allow no claim"


def test_the_finding_says_what_else_changed(build):
    finding = summarise(build(num=120, measures=("generation", "options"), draws=8))["finding"]
    _, _, others = finding.partition("Other metrics that changed significantly, most of all: ")
    assert "mc1" in others and "truth·info" not in others


def test_a_model_that_says_one_thing_to_all_is_told_with_its_gain(build):
    plain = build(num=120, measures=("generation", "heldout"))
    assert "same_answer" not in summarise(plain)["finding"]
    ids = [f"q{i:03d}" for i in range(120)]
    texts = {("caa +0.6", name): "I have no  comment." for name in ids[:60]}
    texts |= {("caa +0.6", name): "i have no comment." for name in ids[60:90]}
    told = summarise(build(num=120, measures=("generation", "heldout"), texts=texts, draws=8))
    block = told["measures"]["generation"]["conditions"]
    rows = build(num=120, measures=("generation",), texts=texts)
    cell = next(c for c in rows.plan.cells if c.condition == "caa +0.6")
    said = [r.text for r in rows.completions(cell.key).values() if r.text is not None]
    repeated = sum(" ".join(text.lower().split()) == "i have no comment." for text in said)
    found = block["caa +0.6"]["metrics"]["same_answer"]
    assert found["mean"] == pytest.approx(repeated / len(said)) and found["n"] == len(said)
    assert block["baseline"]["metrics"]["same_answer"]["mean"] == 0
    _, _, cost = told["finding"].partition(" At a cost: ")
    assert told["finding"].startswith("caa +0.6 raised") and "same_answer +7" in cost
    assert "perplexity" in cost and "times the baseline's" in cost


def test_equal_runs_give_equal_bytes(data, tmp_path, write):
    first = write(data, tmp_path / "a")
    second = write(RunData(build_run(reverse=True)), tmp_path / "b")
    assert [p.name for p in first] == [p.name for p in second]
    assert {p.suffix for p in first} == {".png", ".svg", ".csv"} and len(first) == 6
    for a, b in zip(first, second, strict=True):
        assert a.read_bytes() == b.read_bytes(), a.name


def test_the_csv_holds_the_points_in_the_units_of_the_axes(data, tmp_path, write):
    write(data, tmp_path)
    with (tmp_path / "strength.csv").open(newline="") as file:
        rows = {(row["panel"], row["condition"]): row for row in csv.DictReader(file)}
    mean = data.shown.measures["options"].numbers("caa +0.6", "mc1").mean
    assert float(rows["mc1 %", "caa +0.6"]["y"]) == 100 * mean
    assert float(rows["perplexity ratio", "baseline"]["y"]) == 1


def test_the_tradeoff_sets_each_variants_effect_against_its_cost(data):
    across, up, points = tradeoff_points(data)
    assert across == "KL to baseline (nats/token)" and up == "Δ truth·info to baseline (points)"
    shown = {c.condition: c.group for c in data.shown.conditions}
    wanted = {name for name, group in shown.items() if group not in ("baseline", "pooled")}
    found = {point.condition: point for point in points}
    assert set(found) == wanted and {"treatment", "prompt", "random", "zero"} <= set(shown.values())
    for name, point in found.items():
        cost = data.shown.measures["options"].numbers(name, "kl").mean
        effect = data.shown.measures["generation"].numbers(name, "truth_info").vs_baseline
        assert point.x == cost and point.y == 100 * effect.difference
        low, high = effect.interval or (math.nan, math.nan)
        drawn = [math.nan if end is None else end for end in (point.low, point.high)]
        assert drawn == pytest.approx([100 * low, 100 * high], nan_ok=True)


def test_one_huge_perplexity_does_not_press_the_others_flat(data, tmp_path, write):
    huge = RunData(data.source)
    heldout = data.numbers.measures["heldout"]
    entry = heldout.conditions["caa +0.9"]
    ratio = PerplexityRatio(mean=5e11, interval=(2e11, 1e12))
    numbers = entry.metrics["nll_per_token"].model_copy(update={"perplexity_ratio": ratio})
    metrics = {**entry.metrics, "nll_per_token": numbers}
    conditions = {**heldout.conditions, "caa +0.9": entry.model_copy(update={"metrics": metrics})}
    measures = {**data.numbers.measures}
    measures["heldout"] = heldout.model_copy(update={"conditions": conditions})
    huge.numbers = data.numbers.model_copy(update={"measures": measures})
    for name, some, expected in [("plain", data, False), ("huge", huge, True)]:
        write(some, tmp_path / name)
        drawn = (tmp_path / name / "strength.svg").read_text()
        assert bool(re.search(r">1e1\d<", drawn)) == expected


def test_what_is_missing_has_no_point(build):
    run = RunData(build(no_completions=("caa +0.6",), measures=("generation", "options")))
    found = tradeoff_points(run)
    assert found is not None
    for points in (strength_points(run.shown), found[2]):
        assert points and "caa +0.6" not in {p.condition for p in points}


def test_a_panel_without_a_value_is_drawn_empty(build, tmp_path, write):
    labels = [cell.condition for cell in build(measures=("options",)).plan.cells]
    gone = tuple(label for label in labels if label != "baseline")
    judges = ("choice-5555", "perplexity-8888")
    assert write(RunData(build(no_completions=gone, no_scores=judges)), tmp_path)


def test_without_strengths_or_scores_there_is_no_figure(build, tmp_path, write):
    run = RunData(build(no_scores=[judge.key for judge in build().judges()]))
    assert strength_points(run.shown) == []
    assert write(run, tmp_path) == []


def test_a_caption_names_only_what_is_drawn(build, show):
    shown = show("effects", build(measures=("options",)))
    (figure, *_) = shown.section.figures(shown.view)
    groups = {row[figure.columns.index("group")] for row in figure.rows}
    assert ("the prompt" in figure.caption) is ("prompt" in groups)
    assert ("grey crosses" in figure.caption) is ("random" in groups)


@pytest.mark.parametrize(("num", "marked"), [(6, True), (40, False)])
def test_figures_mark_intervals_over_few_clusters(build, show, tmp_path, num, marked):
    shown = show("effects", build(num=num, clusters=False, unscored=0.0, measures=("options",)))
    (figure, *_) = shown.section.figures(shown.view)
    assert (DAGGER in figure.caption) is marked
    rows = [dict(zip(figure.columns, row, strict=True)) for row in figure.rows]
    assert {row["clusters"] for row in rows} == {num}
    # Wilson's interval of verdicts is as wide as few questions demand
    kept = {row["panel"]: row["resampled"] for row in rows if row["group"] == "treatment"}
    assert (kept["mc1 %"], kept["mc2 %"]) == (False, True)
    figure.write(tmp_path)
    assert (DAGGER in (tmp_path / f"{figure.name}.svg").read_text()) is marked


def test_labels_with_dollars_are_no_formulas(build, tmp_path, write):
    run = build(measures=("generation", "options"))
    cells = tuple(
        c.model_copy(update={"coordinates": {**c.coordinates, "series": "caa $x^$ <b>"}})
        if c.role == "treatment"
        else c
        for c in run.plan.cells
    )
    run.plan = Plan.single(recipe="r", name="n", cells=cells, judges=run.plan.judges)
    write(RunData(run), tmp_path)
    for name in ("strength.svg", "tradeoff.svg"):
        assert "caa $x^$ &lt;b&gt;, layer 15" in (tmp_path / name).read_text()


def test_one_axis_of_strengths_has_one_unit(build):
    run = build(measures=("generation", "options"))
    cells = tuple(
        c.model_copy(update={"coordinates": {"series": "iti", "strength": 5.0}})
        if c.condition == "caa +0.6"
        else c
        for c in run.plan.cells
    )
    run.plan = Plan.single(recipe="r", name="n", cells=cells, judges=run.plan.judges)
    data = RunData(run)
    assert {p.condition for p in tradeoff_points(data)[2]} >= {"caa +0.6", "random +0.6 #1"}
    shown = {p.condition for p in strength_points(data.shown)}
    assert "caa +0.6" not in shown and "random +0.6 #1" in shown


def test_many_lines_look_different_and_none_like_a_control():
    looks = [style.series_look(index) for index in range(25)]
    assert len(set(looks)) == 25
    assert not {colour for colour, _ in looks} & {style.BASELINE, style.PROMPT, style.CONTROL}
    assert len({style.bar_look(index) for index in range(25)}) == 25
