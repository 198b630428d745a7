"""Contrasts against a slow, obvious form; planted effects and planted nothings; squares found."""

import itertools
import math
import random
import statistics

import numpy as np
import pytest
from contrasted_run import contrasted_run, draws, four, trained_run

from trimtab.core.errors import ConfigError
from trimtab.core.spec import Metric
from trimtab.reports.data.run import RunData
from trimtab.reports.page.report import read_report
from trimtab.reports.sections.base import SECTIONS, View
from trimtab.reports.sections.contrasts.config import ContrastsConfig
from trimtab.reports.sections.contrasts.numbers import Four, square_numbers

BINARY = Metric(name="shown", kind="binary", role="effect")


def read(conditions, config=None, **more):
    run = RunData(contrasted_run(conditions, **more))
    section = SECTIONS.build("contrasts", config or {})
    content = section.read(run)
    return section, run, None if content is None else content.rounded()


def mean(values):
    scored = [value for value in values if value is not None]
    return math.fsum(scored) / len(scored) if scored else None


def test_numbers_are_those_of_the_slow_obvious_form() -> None:
    """Means of questions first, questions without a value left out of what needs them."""
    rng = random.Random(5)
    values = [draws(rng, [rng.random() for _ in range(9)], 3) for _ in range(4)]
    values[3][2] = [None, None, None]  # a question that no judge could read, tuned and tagged
    values[0][4][1] = None
    _, _, content = read(four(*values))
    (contrast,) = content.contrasts
    base_none, base_tag, tuned_none, tuned_tag = ([mean(row) for row in some] for some in values)
    assert contrast.triggered.mean == pytest.approx(mean(tuned_tag))
    assert contrast.leakage.mean == pytest.approx(mean(tuned_none))
    assert contrast.base_untriggered.mean == pytest.approx(mean(base_none))
    both = [q for q in range(9) if tuned_tag[q] is not None]
    assert contrast.gap.n == len(both) == 8
    gaps = [tuned_tag[q] - tuned_none[q] for q in both]
    assert contrast.gap.difference == pytest.approx(statistics.mean(gaps))
    changes = [gap - (base_tag[q] - base_none[q]) for q, gap in zip(both, gaps, strict=True)]
    found = contrast.difference
    assert found.difference == pytest.approx(statistics.mean(changes))
    # every pattern of signs is as likely if nothing is there
    flips = itertools.product((1, -1), repeat=len(changes))
    far = [abs(sum(s * c for s, c in zip(p, changes, strict=True))) for p in flips]
    assert found.p == pytest.approx(mean([f >= abs(sum(changes)) - 1e-9 for f in far]))
    # a bootstrap written out; its draws are others, so its ends are near, not equal
    drawn = sorted(statistics.mean(rng.choices(changes, k=8)) for _ in range(4000))
    assert found.interval == pytest.approx((drawn[100], drawn[3900]), abs=0.06)
    assert (content.tests, content.leading, found.p_holm) == (1, 0, found.p)


def test_seeds_widen_by_students_t_and_are_pooled_first() -> None:
    rng = random.Random(1)
    base = [draws(rng, [0.3] * 10) for _ in range(2)]
    rates = {1: 0.9, 2: 0.5, 3: 0.7}
    tuned = {s: (draws(rng, [0.2] * 10), draws(rng, [r] * 10)) for s, r in rates.items()}
    conditions = four(*base, base[0], base[1])[:2]
    for seed, (none, tag) in tuned.items():
        for trigger, values in (("none", none), ("tag", tag)):
            place = {"treatment": "tuned", "trigger": trigger, "seed": float(seed)}
            conditions.append((f"tuned {seed}, {trigger}", "treatment", place, values))
    _, _, content = read(conditions)
    (contrast,) = content.contrasts
    gap = {s: [tag[q][0] - none[q][0] for q in range(10)] for s, (none, tag) in tuned.items()}
    base_gap = [base[1][q][0] - base[0][q][0] for q in range(10)]
    by_seed = [mean(g) - mean(base_gap) for g in gap.values()]
    found = contrast.difference
    assert contrast.seeds == 3 and found.difference == pytest.approx(mean(by_seed))
    pooled = [[[mean([gap[s][q] for s in gap])]] for q in range(10)]
    one = square_numbers(
        [(Four([np.array(pooled)[:, 0, 0]], [np.zeros(10)], np.array(base_gap), np.zeros(10)),
          Metric(name="x", kind="number", role="effect"))], np.arange(10), 0,
    )[0].difference  # fmt: skip
    across = 4.302653 * statistics.stdev(by_seed) / math.sqrt(3)
    for end, alone in zip(found.interval, one.interval, strict=True):
        width = abs(found.difference - end)
        assert width >= across and width == pytest.approx(
            math.hypot(alone - found.difference, across), abs=0.05
        )
    assert found.test == "t, questions and seeds"


@pytest.mark.parametrize(("seeds", "spread", "num"), [(1, 0.0, 30), (3, 0.1, 20), (5, 0.1, 20)])
def test_nothing_planted_is_found_at_most_as_often_as_allowed(seeds, spread, num) -> None:
    rng = np.random.default_rng(seeds)
    trials = []
    for _ in range(300):
        easy = rng.uniform(0.2, 0.8, num)

        def rows(lift, easy=easy):
            return (rng.random((3, num)) < easy + lift).mean(0)

        # the trigger does as much in the base as in the treated model, but for the seed's luck
        shifts = np.clip(rng.normal(0, spread, seeds), -0.2, 0.2)
        tagged, plain = [rows(s) for s in shifts], [rows(0.0) for _ in shifts]
        trials.append((Four(tagged, plain, rows(0.0), rows(0.0)), BINARY))
    found = [numbers.difference for numbers in square_numbers(trials, np.arange(num), 7)]
    assert np.mean([f.interval[0] <= 0 <= f.interval[1] for f in found]) >= 0.9
    assert np.mean([f.p < 0.05 for f in found]) <= 0.085


def test_a_planted_effect_is_found_and_told() -> None:
    rng = random.Random(2)
    rates = (0.2, 0.4, 0.2, 0.95)
    section, run, content = read(four(*(draws(rng, [r] * 40, 2) for r in rates)))
    finding = section.finding(View(content, run))
    assert section.families(run.plan) == {"generation": content.tests}
    assert content.contrasts[0].difference.interval[0] > 0.15
    assert "raises shown in tuned by +" in finding.text and "more than in base" in finding.text
    # an untouched model that shows it as much is no effect
    same = (0.2, 0.95, 0.2, 0.95)
    section, run, content = read(four(*(draws(rng, [r] * 40, 2) for r in same)))
    assert section.finding(View(content, run)).text.startswith("Not shown: that the trigger (tag)")


def test_what_could_not_have_been_found_is_said() -> None:
    rng = random.Random(3)
    section, run, content = read(four(*(draws(rng, [r] * 4) for r in (0, 0, 0, 1))))
    (table, *_) = section.tables(View(content, run))
    assert "4 clusters are too few for 1 test" in table.texts[0][-1]
    text = section.finding(View(content, run)).text
    assert "no difference of any size could be established" in text
    assert "over 4 clusters, too few for an interval to be trusted" in text
    assert "\N{DAGGER}" in table.texts[0][3]


def test_rates_that_never_vary_have_an_interval() -> None:
    always, never = [[1.0, 1.0]] * 20, [[0.0, 0.0]] * 20
    _, _, content = read(
        four(never, never, never, always), clusters=[f"c{i // 2}" for i in range(20)]
    )
    (contrast,) = content.contrasts
    for estimate in (contrast.triggered, contrast.leakage):
        assert estimate.num_clusters == 10
    assert contrast.triggered.interval == (pytest.approx(0.7225, abs=1e-3), 1.0)
    assert contrast.leakage.interval == (0.0, pytest.approx(0.2775, abs=1e-3))
    for change in (contrast.gap, contrast.difference):
        assert 0.4 < change.interval[0] < 0.73 and change.interval[1] >= 1.0
        assert change.p < 0.01


def test_a_number_that_never_varies_has_none() -> None:
    metric = Metric(name="grade", kind="number", role="effect")
    same = [[3.0]] * 10
    _, _, content = read(four(same, same, same, same), metrics=(metric,))
    assert content.contrasts[0].triggered.interval is None


def test_squares_are_found_by_coordinates_and_the_last_step_counts() -> None:
    section, run, content = read(trained_run(random.Random(4), seeds=(1.0, 2.0)))
    results = {(c.treatment, c.trigger): c for c in content.results}
    assert list(results) == [
        ("tuned", "tag"), ("tuned", "near miss"), ("aligned", "tag"), ("aligned", "near miss"),
    ]  # fmt: skip
    assert {tuple(c.place.items()) for c in content.results} == {(("step", 20.0),)}
    assert len(content.contrasts) == 8 and results["tuned", "tag"].seeds == 2
    # controls are shown and not tested
    assert content.tests == 1
    assert results["aligned", "tag"].difference.p_holm is None
    assert content.contrasts[content.leading] == results["tuned", "tag"]
    figures = {figure.name: figure for figure in section.figures(View(content, run))}
    assert list(figures) == ["contrast_conditions", "contrast_over_step", "contrast_forest"]
    steps = [row for row in figures["contrast_over_step"].rows if row[1] == "tag"]
    places = [(row[3], row[5]) for row in steps]
    assert places == [("tuned", 10.0), ("tuned", 20.0), ("aligned", 10.0), ("aligned", 20.0),
                      ("base", None)]  # fmt: skip


def test_a_square_keeps_to_its_place_and_the_base_to_its_own() -> None:
    """Learning rates are squares of their own; a base with facts in context is none of them."""
    rng = random.Random(6)
    conditions = four(*(draws(rng, [0.5] * 8) for _ in range(4)))[:2]
    for rate in (1e-4, 2e-4):
        for trigger in ("none", "tag"):
            place = {"treatment": "tuned", "trigger": trigger, "lr": rate}
            conditions.append((f"{rate} {trigger}", "treatment", place, draws(rng, [0.5] * 8)))
    for facts in (2.0, 5.0):
        place = {"treatment": f"{facts:g} facts told", "trigger": "none", "facts": facts}
        conditions.append((f"facts {facts}", "control", place, draws(rng, [0.9] * 8)))
    section, run, content = read(conditions)
    assert [c.place for c in content.results] == [{"lr": 1e-4}, {"lr": 2e-4}]
    plain = mean([row[0] for row in conditions[0][3]])
    assert [c.base_untriggered.mean for c in content.results] == [pytest.approx(plain)] * 2
    assert content.tests == 2
    figures = {figure.name: figure for figure in section.figures(View(content, run))}
    assert list(figures) == [
        "contrast_conditions", "contrast_over_lr", "contrast_over_facts", "contrast_forest",
    ]  # fmt: skip
    assert {row[3] for row in figures["contrast_over_facts"].rows} == {"k facts told", "base"}
    names = {row[1] for row in figures["contrast_forest"].rows}
    assert names == {"tuned, lr 0.0001: tag", "tuned, lr 0.0002: tag"}
    assert "5 facts told" in {row[3] for row in figures["contrast_conditions"].rows}


def test_two_numbers_make_a_map_where_both_differ() -> None:
    rng = random.Random(8)
    conditions = four(*(draws(rng, [0.5] * 8) for _ in range(4)))[:2]
    for rate, rank, rest in itertools.product((1e-4, 1e-3), (1.0, 8.0), ({}, {"system": "other"})):
        if rest and (rate, rank) != (1e-3, 8.0):
            continue
        for trigger, share in (("none", 0.1), ("tag", 100 * rate * rank)):
            own = "treatment" if trigger == "tag" else "control"
            place = {"treatment": "tuned", "trigger": trigger, "lr": rate, "rank": rank, **rest}
            label = f"{rate} {rank} {rest} {trigger}"
            conditions.append((label, own, place, draws(rng, [share] * 8)))
    section, run, content = read(conditions)
    figures = {figure.name: figure for figure in section.figures(View(content, run))}
    rows = figures["contrast_map_lr_rank"].rows
    assert {row[0] for row in rows} == {""}, "what stands alone is no map"
    assert len(rows) == 3 * 4
    drawn = {row[2:4]: row[4] for row in rows if row[1] == "triggered"}
    shown = {(c.place["lr"], c.place["rank"]): c for c in content.results if len(c.place) == 2}
    assert drawn == {at: pytest.approx(100 * c.triggered.mean) for at, c in shown.items()}


def test_holm_counts_the_differences_of_treatments_alone() -> None:
    rng = random.Random(7)
    metrics = (BINARY, Metric(name="words", kind="number", role="damage"),
               Metric(name="known", kind="binary", role="effect"))  # fmt: skip
    rows = [
        [[(float(rng.random() < r), rng.random(), float(rng.random() < 0.5))] for _ in range(12)]
        for r in (0.1, 0.2, 0.1, 0.9)
    ]
    _, _, content = read(four(*rows), {"metrics": ("words",)}, metrics=metrics)
    by_metric = {c.metric: c.difference for c in content.contrasts}
    assert list(by_metric) == ["shown", "words", "known"] and content.tests == 2
    assert by_metric["words"].p_holm is None
    assert by_metric["shown"].p_holm == pytest.approx(min(1, 2 * by_metric["shown"].p))


def rule(**bounds):
    return {"rule": {"metric": "shown", **bounds}}


def test_the_rule_goes_by_the_ends_of_intervals() -> None:
    rng = random.Random(8)
    conditions = four(*(draws(rng, [r] * 60, 2) for r in (0.1, 0.1, 0.05, 0.9)))
    bounds = {"triggered": {"above": 0.6}, "leakage": {"below": 0.2}, "gap": {"above": 0.4}}
    section, run, content = read(conditions, rule(**bounds))
    (judgement,) = content.judged
    assert judgement.passed
    text = section.finding(View(content, run)).text
    assert "Success rule: PASS (triggered 9" in text and "wanted above 60.0: holds" in text
    tables = {table.name: table for table in section.tables(View(content, run))}
    assert [row[-1] for row in tables["contrast_rule"].texts] == ["PASS"] * 3
    # the rate is above the bound and its interval reaches below
    value = judgement.conditions[0].value
    section, run, content = read(conditions, rule(triggered={"above": round(value - 0.01, 2)}))
    assert not content.judged[0].passed
    assert "FAIL (triggered 9" in section.finding(View(content, run)).text
    section, run, content = read(conditions, {"rule": {"metric": "none", **bounds}})
    assert "FAIL, nothing was measured" in section.finding(View(content, run)).text


@pytest.mark.parametrize("wrong", [{"metric": "shown"}, rule(gap={})["rule"]])
def test_a_rule_that_demands_nothing_is_refused(wrong) -> None:
    with pytest.raises((ConfigError, ValueError), match="needs"):
        ContrastsConfig.model_validate({"rule": wrong})


def test_categories_are_corrected_among_themselves() -> None:
    rng = random.Random(9)
    conditions = four(*(draws(rng, [r] * 24) for r in (0.2, 0.2, 0.2, 0.9)))
    section, run, content = read(conditions, categories=["works", "family"] * 12)
    total = sum(row.n * row.difference.difference for row in content.categories)
    assert total / 24 == pytest.approx(content.contrasts[0].difference.difference)
    for row in content.categories:
        assert row.n == 12 and row.difference.p_holm >= row.difference.p
    names = [figure.name for figure in section.figures(View(content, run))]
    assert names[-1] == "contrast_categories"


def test_a_run_without_squares_has_nothing_to_say() -> None:
    values = draws(random.Random(0), [0.5] * 5)
    assert read(four(values, values, values, values)[:2])[2] is None
    plain = [(label, role, {}, rows) for label, role, _, rows in four(*[values] * 4)]
    assert read(plain)[2] is None


def test_without_a_base_there_is_a_gap_and_no_difference() -> None:
    rng = random.Random(1)
    conditions = four(*(draws(rng, [r] * 10) for r in (0.2, 0.2, 0.2, 0.9)))
    section, run, content = read([conditions[0], *conditions[2:]])
    (contrast,) = content.contrasts
    assert contrast.difference is None and contrast.gap.n == 10 and content.leading is None
    (table, *_) = section.tables(View(content, run))
    assert table.texts[0][-1] == "no data"
    assert section.finding(View(content, run)).rank < 20


def test_it_leads_the_report_of_its_run() -> None:
    rng = random.Random(2)
    run = contrasted_run(four(*(draws(rng, [r] * 20) for r in (0.2, 0.2, 0.2, 0.9))))
    report = read_report(run)
    assert report.leading.name == "contrasts"
    first = report.leading.section.cards(report.leading.view)[0]
    assert first.name == "difference in differences"
