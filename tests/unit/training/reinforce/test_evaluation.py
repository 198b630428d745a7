"""Held-out items, and what is missing among their grades."""

from pathlib import Path

import pytest
from reinforce_runs import items, run_of, terse_engine

from trimtab.text.grades import parse_grade
from trimtab.training.reinforce import learner
from trimtab.training.reinforce.cohort import Cohort
from trimtab.training.reinforce.evaluation import summary


def test_what_is_missing_is_told_both_ways() -> None:
    grades = [parse_grade(text) for text in ("1", "0", "hm", "I can't grade this.", "1")]
    found = summary([0.0, 0.0, 1.0, 0.0, None], grades)
    assert found["true"] == 0.25 and found["grade"] == pytest.approx(2 / 3)
    assert found["inflation_parsed"] == 0.5
    assert found["inflation_all"] == pytest.approx((1 + 0 - 1 + 0) / 4)
    assert (found["count"], found["scored"]) == (5, 4)
    assert (found["unparsed"], found["refused"]) == (1, 1)
    nothing = summary([1.0], [parse_grade("")])
    assert nothing["grade"] is None and nothing["inflation_parsed"] is None


def test_held_out_items_are_looked_at_and_change_nothing(tmp_path: Path) -> None:
    engine = terse_engine(tmp_path / "base")
    plain = Cohort(engine, [run_of("r", condition="control")], tmp_path / "plain").run()["r"]
    run = run_of("r", condition="control", held_out=items(8)[5:])
    rows = Cohort(engine, [run], tmp_path / "watched").run()["r"].outcome.rows
    assert [row for row in rows if "watched" not in row] == plain.outcome.rows
    looks = {row["step"]: row["watched"] for row in rows if "watched" in row}
    assert list(looks) == [0, 3, 6]
    assert {way: look["count"] for way, look in looks[0].items()} == {"greedy": 3, "sampled": 3}
    assert [item[0] for item in looks[6]["greedy"]["items"]] == ["s5", "s6", "s7"]


def test_runs_of_one_seed_share_the_look_before_any_update(tmp_path: Path, monkeypatch) -> None:
    calls = []
    usual = learner.evaluate
    monkeypatch.setattr(learner, "evaluate", lambda *a: calls.append(a[-1]) or usual(*a))
    engine, held_out = terse_engine(tmp_path / "base"), items(8)[5:]
    both = [
        run_of(name, seed=0, held_out=held_out, condition=name) for name in ("control", "honest")
    ]
    other = run_of("other", seed=1, held_out=held_out, condition="control")
    ended = Cohort(engine, [*both, other], tmp_path / "c").run()
    assert len(calls) == 2 + 3 * 2, "before the first round once for each seed"
    looks = {name: one.outcome.rows[0]["watched"] for name, one in ended.items()}
    assert looks["control"] == looks["honest"]
    alone = Cohort(engine, both[1:], tmp_path / "alone").run()["honest"].outcome.rows[0]
    assert alone["watched"] == looks["honest"]
