"""What is measured, against slow, obvious arithmetic, and what becomes of what is missing."""

import math

import pytest

from trimtab.core.types import Score
from trimtab.reports.page.report import summarise, to_json


def truth_info(run, condition):
    """Per question, straight from the records: both verdicts yes, or left out."""
    cell = next(c for c in run.plan.cells if c.condition == condition and c.measure == "generation")
    truth = {s.sample_id: s.values["truth"] for s in run.scores("rubric-1111", cell.key).values()}
    info = {s.sample_id: s.values["info"] for s in run.scores("rubric-2222", cell.key).values()}
    both = {i for i in truth if truth[i] is not None and info.get(i) is not None}
    return {i: truth[i] * info[i] for i in both}


def numbers(summary, measure, condition, metric):
    return summary["measures"][measure]["conditions"][condition]["metrics"][metric]


def test_means_and_paired_differences_equal_a_plain_count(build, summary):
    run = build()
    base, steered = truth_info(run, "baseline"), truth_info(run, "caa +0.6")
    shared = base.keys() & steered.keys()
    assert len(shared) < len(run.samples("generation")), "the fake run must miss some scores"
    found = numbers(summary, "generation", "caa +0.6", "truth_info")
    assert found["n"] == len(steered)
    assert found["n_unscored"] == found["n_planned"] - len(steered)
    assert found["mean"] == pytest.approx(sum(steered.values()) / len(steered), rel=1e-9)
    against = found["vs_baseline"]
    assert against["n"] == len(shared)
    expected = sum(steered[i] - base[i] for i in shared) / len(shared)
    assert against["difference"] == pytest.approx(expected, rel=1e-9)
    assert against["wins"] == sum(steered[i] > base[i] for i in shared)
    assert against["interval"][0] < expected < against["interval"][1]


def test_both_orders_of_a_two_option_question_are_one_unit(build, summary):
    found = numbers(summary, "two_option", "baseline", "two_option")
    assert (found["n"], found["units"]) == (60, 30)
    assert summary["measures"]["two_option"]["units"] == 30


def test_strength_zero_is_the_baseline(summary):
    for measure, block in summary["measures"].items():
        for metric in block["metrics"]:
            found = numbers(summary, measure, "caa 0", metric["id"])["vs_baseline"]
            assert found["difference"] == 0 and found["wins"] == found["losses"] == 0
    assert numbers(summary, "heldout", "caa 0", "nll_per_token")["perplexity_ratio"]["mean"] == 1


def test_perplexity_ratio_is_the_exponential_of_the_mean_difference(summary):
    found = numbers(summary, "heldout", "caa +0.9", "nll_per_token")
    base = numbers(summary, "heldout", "baseline", "nll_per_token")
    ratio = math.exp(found["mean"] - base["mean"])
    assert found["perplexity_ratio"]["mean"] == pytest.approx(ratio, rel=1e-6)
    low, high = found["perplexity_ratio"]["interval"]
    assert low < ratio < high


def test_a_family_is_all_treatments_times_all_effect_metrics(summary):
    metrics = sum(m["role"] == "effect" for b in summary["measures"].values() for m in b["metrics"])
    assert summary["families"]["baseline"]["tests"] == 5 * metrics
    # Random vectors were drawn at one strength: both signs of it are compared, others are not.
    assert summary["families"]["random"]["tests"] == 2 * metrics
    for name in ("prompt", "random +0.6 #1"):
        assert numbers(summary, "options", name, "mc1")["vs_baseline"]["p_holm"] is None
    found = numbers(summary, "options", "caa +0.6", "mc1")["vs_baseline"]
    assert found["p"] < found["p_holm"] <= 1


def test_another_reading_of_an_answer_is_shown_and_not_tested(summary):
    found = numbers(summary, "options", "caa +0.6", "mc3")
    assert found["interval"] is not None and found["vs_baseline"]["interval"] is not None
    assert found["vs_baseline"]["p_holm"] is None
    assert numbers(summary, "options", "caa +0.6", "mc2")["vs_baseline"]["p_holm"] is not None
    assert found.get("vs_random") is None


def test_random_draws_are_shown_each_and_pooled_per_question(summary):
    first, second, pooled = (
        numbers(summary, "options", name, "mc2")
        for name in ("random +0.6 #1", "random +0.6 #2", "random, pooled")
    )
    assert pooled["mean"] == pytest.approx((first["mean"] + second["mean"]) / 2, rel=1e-9)
    assert pooled["units"] == 30 and pooled["n"] == 60


def test_a_condition_without_completions_is_missing_and_not_zero(build):
    summary = summarise(build(no_completions=("caa +0.3",), measures=("generation",)))
    entry = summary["measures"]["generation"]["conditions"]["caa +0.3"]
    assert entry["counts"] == {
        "planned": 30, "present": 0, "missing": 30, "errors": 0, "truncated": 0,
        "error_rate": None, "truncated_rate": None,
    }  # fmt: skip
    found = entry["metrics"]["truth"]
    assert (found["n"], found["n_unscored"], found["mean"]) == (0, 30, None)
    assert found["interval"] is None and found["vs_baseline"] is None
    words = {
        v["verdict"]
        for v in summary["sections"]["verdicts"]["verdicts"]
        if v["condition"] == "caa +0.3"
    }
    assert words == {"no data"}


def test_a_judge_without_scores_leaves_the_others_alone(build, summary):
    without = summarise(build(no_scores=("rubric-2222",)))
    for metric in ("info", "truth_info"):
        assert numbers(without, "generation", "baseline", metric)["mean"] is None
        assert numbers(without, "generation", "baseline", metric)["n_unscored"] == 30
    truth = numbers(without, "generation", "baseline", "truth")["mean"]
    assert truth == numbers(summary, "generation", "baseline", "truth")["mean"]
    assert without["families"]["baseline"]["tests"] < summary["families"]["baseline"]["tests"]
    assert "truth·info" in without["finding"]


def test_a_baseline_without_completions_compares_nothing(build):
    summary = summarise(build(no_completions=("baseline",), measures=("options",)))
    assert numbers(summary, "options", "caa +0.6", "mc1")["vs_baseline"] is None
    assert numbers(summary, "options", "caa +0.6", "mc1")["mean"] is not None
    assert "can be compared with the baseline" in summary["finding"]


def test_nan_from_a_judge_is_unscored(build):
    run = build(measures=("options",))
    cell = next(c.key for c in run.plan.cells if c.measure == "options")
    rows = run.scores("choice-5555", cell)
    key, row = next(iter(rows.items()))
    values = {**row.values, "mc2": math.nan}
    rows[key] = Score(**{**row.model_dump(), "values": values})
    plain = run.scores
    run.scores = lambda judge, c: rows if (judge, c) == ("choice-5555", cell) else plain(judge, c)
    found = numbers(summarise(run), "options", "baseline", "mc2")
    assert (found["n"], found["n_unscored"]) == (29, 1) and found["mean"] > 0


def test_wilson_where_no_two_questions_share_a_cluster(build):
    summary = summarise(build(clusters=False, measures=("options",)))
    assert numbers(summary, "options", "baseline", "mc1")["method"] == "Wilson"
    assert "bootstrap" in numbers(summary, "options", "baseline", "mc2")["method"]
    found = numbers(summary, "options", "caa +0.6", "mc1")["vs_baseline"]
    assert found["test"] == "exact McNemar"


def test_equal_records_in_any_order_give_equal_bytes(build, summary):
    assert to_json(summarise(build(reverse=True))) == to_json(summary)


def test_conditions_of_two_protocols_are_not_compared(build):
    run = build(measures=("generation",))
    key = next(c.key for c in run.plan.cells if c.condition == "caa +0.3")
    made = run.completions

    def asked_otherwise(cell):
        rows = made(cell)
        if cell != key:
            return rows
        return {k: row.model_copy(update={"protocol": "another"}) for k, row in rows.items()}

    run.completions = asked_otherwise
    summary = summarise(run)
    conditions = summary["measures"]["generation"]["conditions"]
    assert "vs_baseline" not in conditions["caa +0.3"]["metrics"]["truth"]
    assert conditions["caa +0.6"]["metrics"]["truth"]["vs_baseline"] is not None
    assert "another" in summary["measures"]["generation"]["protocols"]
