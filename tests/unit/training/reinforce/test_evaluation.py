"""Held-out items, and what is missing among their grades."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from reinforce_runs import items, moved, run_of, terse_engine

from trimtab.steering.projections import Projector, Span
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


def test_grades_are_projected_as_their_tokens_are_read_alone(tmp_path: Path) -> None:
    engine = terse_engine(tmp_path / "base")
    vector_H = torch.randn(engine.hidden_size, generator=torch.Generator().manual_seed(0))
    projector, seen = Projector(engine, 0, vector_H), []
    usual = projector.of_spans
    projector.of_spans = lambda spans: seen.append((spans, usual(spans))) or seen[-1][1]
    run = replace(run_of("r", condition="selfgrade", held_out=items(8)[5:]), projector=projector)
    cohort = Cohort(engine, [run], tmp_path / "c")
    moved(cohort.learners[0].module)
    rows = cohort.run()["r"].outcome.rows
    looks = [row["watched"][way] for row in rows if "watched" in row for way in row["watched"]]
    assert [look["projections"] for look in looks] == [values for _, values in seen]
    end = engine.loaded.tokenizer.convert_tokens_to_ids("<|end|>")
    unit_H, read = vector_H / vector_H.norm(), 0
    for spans, values in seen[:2]:
        for span, value in zip(spans, values, strict=True):
            assert end not in span.tokens and (value is None) == (not span.tokens)
            if value is None:
                continue
            ids = torch.tensor([[*span.prompt, *span.tokens]])
            with torch.no_grad():
                states_PH = engine.loaded.model(ids, output_hidden_states=True).hidden_states[1][0]
            expected = float(states_PH[len(span.prompt) :].mean(0) @ unit_H)
            assert usual([Span(span.prompt, span.tokens)]) == [pytest.approx(expected, abs=1e-4)]
            assert value != pytest.approx(expected, abs=1e-3), "read with the adapter"
            read += 1
    assert read and usual([Span((1, 2), ())]) == [None]
