"""Choosing among candidates against a plain count over the records of a kept run."""

from collections import Counter
from pathlib import Path

import pytest

from trimtab.runs.store.run import Run

KEPT = Path(__file__).parents[3] / "data" / "run_977cf48" / "best_of_n"


@pytest.fixture(scope="module")
def selection(show):
    return show("selection", Run.open(KEPT))


def candidates_of(run, measure, split):
    """Return, per problem, the labels and answers of its candidates, straight from the records."""
    cells = [c for c in run.plan.cells if c.measure == measure and c.split == split]
    cell = next(c for c in cells if c.num_samples > 1)
    judge = next(j for j in run.judges() if any(m.name == "correct" for m in j.metrics))
    scores = run.scores(judge.key, cell.key)
    return {
        sample: [scores[cell.key, sample, i] for i in range(cell.num_samples)]
        for sample in run.samples(cell.samples)
    }


def test_random_first_and_oracle_are_those_of_a_plain_count(selection):
    leading = selection.content.leading
    problems = candidates_of(selection.run.source, leading.measure, "test")
    rights = [[score.values["correct"] for score in scores] for scores in problems.values()]
    expected = {
        "random": sum(sum(right) / len(right) for right in rights),
        "first": sum(right[0] for right in rights),
        "oracle": sum(max(right) for right in rights),
    }
    for name, right in expected.items():
        assert leading.selector(name).right == pytest.approx(right), name
    assert leading.problems == len(rights)
    assert leading.mixed == sum(0 < sum(right) < len(right) for right in rights)


def test_the_rules_are_counted_over_all_candidates(selection):
    leading = selection.content.leading
    assert sum(leading.rules.values()) == leading.completions
    assert leading.no_answer == Counter(leading.rules)["none"]


def test_ties_with_itself_are_not_compared(selection):
    rows = {row.selector: row for row in selection.content.leading.selectors}
    assert rows["random"].vs_random is None and rows["majority"].vs_majority is None
    assert rows["majority"].vs_random is not None and rows["random"].vs_majority is not None


def test_curves_end_with_all_candidates(selection):
    leading = selection.content.leading
    for name, points in leading.curves.items():
        chosen = leading.selector(name)
        assert points[-1].k == leading.candidates
        if chosen is not None and chosen.n == leading.problems and "vote" not in name:
            assert points[-1].mean == pytest.approx(chosen.mean), name


def test_a_plan_knows_how_many_selectors_will_be_tested(selection):
    leading = selection.content.leading
    families = selection.section.families(selection.run.plan)
    assert families == {leading.measure: leading.tests}


def test_the_finding_tells_each_ranking_against_majority(selection):
    text = selection.section.finding(selection.view).text
    leading = selection.content.leading
    assert text.startswith(f"Of {leading.candidates} candidates for each of {leading.problems}")
    assert all(name.capitalize() in text for name in leading.selectors_by_ranking)
    names = [table.name for table in selection.section.headline(selection.view)]
    assert names == [f"{leading.measure}_selectors", f"{leading.measure}_rankings"]
