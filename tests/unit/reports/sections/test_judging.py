"""What the judges are worth: agreement, corrections, panels; and the tables made of them."""

import pytest

from trimtab.core.spec import Component
from trimtab.reports.data.run import RunData
from trimtab.reports.page.report import summarise
from trimtab.reports.page.write import write_report
from trimtab.reports.sections.judging.answers import truth_tables, verbosity_tables
from trimtab.stats.agreement import cohen_kappa

CHECK = {
    "judge": "rubric-1111",
    "metric": "truth",
    "labels": "labels.jsonl",
    "n": 300,
    "judged": 298,
    "labels_total": 22434,
    "sensitivity": {"value": 0.9, "interval": [0.86, 0.94]},
    "specificity": {"value": 0.8, "interval": [0.75, 0.85]},
    "error": {"value": -0.05, "interval": [-0.09, -0.01]},
    "kappa": {"value": 0.7, "interval": [0.6, 0.8]},
    "length": {"bias": 0.61},
    "verdict": "a usable judge",
}


@pytest.fixture
def two_judges(build):
    """The default run with a second truth judge that turns every fifth verdict around."""
    run = build(unscored=0.0)
    plans, scores = run.judges(), run.scores
    first = plans[0]
    second = first.model_copy(update={"key": "rubric-9999"})

    def turned(judge, cell):
        rows = scores("rubric-1111" if judge == "rubric-9999" else judge, cell)
        if judge != "rubric-9999":
            return rows
        return {
            key: row.model_copy(
                update={
                    "judge": judge,
                    "values": {
                        name: 1 - value if value is not None and n % 5 == 0 else value
                        for name, value in row.values.items()
                    },
                }
            )
            for n, (key, row) in enumerate(rows.items())
        }

    run.judges = lambda: (*plans, second)
    run.scores = turned
    return run


def test_agreement_is_that_of_the_pooled_verdicts(two_judges) -> None:
    (found,) = [
        a
        for a in summarise(two_judges)["sections"]["judging"]["agreement"]
        if a["metric"] == "truth"
    ]
    a, b = [], []
    for cell in two_judges.plan.cells:
        left = two_judges.scores("rubric-1111", cell.key)
        right = two_judges.scores("rubric-9999", cell.key)
        for key, row in left.items():
            if row.values.get("truth") is not None:
                a.append(row.values["truth"])
                b.append(right[key].values["truth"])
    (pair,) = found["pairs"]
    assert pair["n"] == len(a) > 100
    assert pair["agreement"] == pytest.approx(sum(map(float.__eq__, a, b)) / len(a))
    assert pair["kappa"] == pytest.approx(cohen_kappa(a, b))
    assert pair["interval"][0] < pair["kappa"] < pair["interval"][1]
    assert pair["clusters"] == len(two_judges.samples("generation"))
    assert found["alpha"] == pytest.approx(pair["kappa"], abs=0.02)


def test_a_panel_stands_for_its_members(two_judges) -> None:
    plans = two_judges.judges()
    panel = plans[0].model_copy(
        update={
            "key": "panel-1",
            "component": Component(name="panel"),
            "members": ("rubric-1111", "rubric-9999"),
        }
    )
    scores = two_judges.scores
    two_judges.judges = lambda: (*plans, panel)
    two_judges.scores = lambda j, c: scores("rubric-1111" if j == "panel-1" else j, c)
    summary = summarise(two_judges)
    metrics = summary["measures"]["generation"]["metrics"]
    assert [m["judge"] for m in metrics if m["name"] == "truth"] == ["panel-1"]
    pairs = [
        p
        for a in summary["sections"]["judging"]["agreement"]
        if a["metric"] == "truth"
        for p in a["pairs"]
    ]
    assert [(p["left"], p["right"]) for p in pairs] == [("rubric-1111", "rubric-9999")]


def test_corrected_rates_belong_to_raw_ones(build, show) -> None:
    run = build()
    run.judge_checks = [CHECK, {**CHECK, "judged": 20, "verdict": "a smaller check"}]
    judging = show("judging", run)
    corrected = judging.content.corrected["generation"]
    block = judging.run.shown.measures["generation"]
    assert corrected.keys() == block.conditions.keys()
    for label, by_metric in corrected.items():
        numbers, fixed = block.numbers(label, "truth"), by_metric["truth"]
        expected = min(1.0, max(0.0, (numbers.mean + 0.8 - 1) / 0.7))
        assert fixed.rogan_gladen.value == pytest.approx(expected)
        assert fixed.prediction_powered.value == pytest.approx(max(0.0, numbers.mean - 0.05))
        raw = numbers.interval[1] - numbers.interval[0]
        ends = fixed.prediction_powered.interval
        assert ends[1] - ends[0] > raw or 0.0 in ends or 1.0 in ends
        assert by_metric.keys() == {"truth"}
    (check,) = judging.content.checks
    assert check.verdict == "a usable judge" and judging.run.checked_judges == {"rubric-1111"}
    assert "corrected" in judging.tables()


def test_a_bad_judge_gets_no_correction_and_is_called_bad(build, show) -> None:
    run = build()
    bad = {"sensitivity": {"value": 0.5, "interval": [0.45, 0.55]},
           "specificity": {"value": 0.52, "interval": [0.47, 0.57]},
           "verdict": "a bad judge: not better than chance"}  # fmt: skip
    run.judge_checks = [{**CHECK, **bad}]
    tables = show("judging", run).tables()
    assert "a bad judge" in tables["judge_checks"].to_markdown()
    column = tables["corrected"].columns.index("Rogan-Gladen %")
    assert {row[column] for row in tables["corrected"].texts} == {
        "the judge is not better than chance"
    }


def test_every_table_is_written(two_judges, tmp_path) -> None:
    two_judges.judge_checks = [CHECK]
    written = write_report(two_judges, [], tmp_path)
    names = {path.name for path in written.files}
    wanted = ("agreement", "judge_checks", "corrected", "categories", "generation_verbosity")
    assert {f"{name}.csv" for name in wanted} <= names
    assert any(name.startswith("generation_truth") for name in names)
    run = RunData(two_judges)
    (truth, *_) = truth_tables(run, run.checked_judges)
    assert "Nobody checked rubric-2222 against people" in truth.note
    assert [c for c in truth.columns if c.endswith("%")] == [
        "truth@rubric-1111 %", "info %", "truth·info@rubric-1111 %"
    ]  # fmt: skip
    for table in (truth, *verbosity_tables(run)):
        assert {len(row) for row in table.rows} == {len(table.columns)}
    text = (tmp_path / "report" / "report.md").read_text()
    for title in ("Agreement of judges", "Judges against people", "By category, generation"):
        assert title in text


def test_grades_that_were_checked_are_shown_and_correct_nothing(build, show) -> None:
    run = build(unscored=0.0)
    metric = next(
        metric
        for _, _, metric in show("judging", run).run.numbers.metrics()
        if metric.kind == "number" and metric.judge
    )
    check = {
        **{key: CHECK[key] for key in ("labels", "n", "judged", "labels_total", "kappa")},
        "judge": metric.judge,
        "metric": metric.name,
        "error": {"value": 0.4, "interval": [0.2, 0.6]},
        "distance": {"value": 0.9, "interval": [0.8, 1.0]},
        "same": {"value": 0.5, "interval": [0.4, 0.6]},
        "rank_correlation": 0.8,
        "length": 0.1,
        "verdict": "a usable judge",
    }
    run.judge_checks = [check]
    judging = show("judging", run)
    assert [found.metric for found in judging.content.grade_checks] == [metric.name]
    assert not judging.content.checks and not judging.content.corrected
    table = judging.tables()["grade_checks"].to_markdown()
    assert "| 0.90 [0.80, 1.00] | 50.0 [40.0, 60.0] |" in table
