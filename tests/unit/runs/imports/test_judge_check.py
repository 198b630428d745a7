"""Judges against labels: figures from a slow count, and words that say what they amount to."""

import json
import random
from pathlib import Path

import pytest

from trimtab.core.errors import DataError
from trimtab.runs.imports.check_figures import CheckedRow, measure_grades, measure_verdicts
from trimtab.runs.imports.judge_check import create_check, evaluate
from trimtab.runs.imports.labels import read_labels


def rows(se: float, sp: float, n: int = 600, unread: int = 0, seed: int = 0) -> list[CheckedRow]:
    rng = random.Random(seed)
    made = []
    for i in range(n):
        label = int(rng.random() < 0.5)
        verdict = float(rng.random() < (se if label else 1 - sp))
        missing = i < unread
        made.append(
            CheckedRow(
                label, None if missing else verdict, None, f"q{i // 3}", rng.randrange(1, 40)
            )
        )
    return made


def test_figures_equal_a_slow_count() -> None:
    made = rows(0.9, 0.7, unread=60)
    found = measure_verdicts(made, seed=0)
    judged = [r for r in made if r.verdict is not None]
    tp = sum(r.label == 1 and r.verdict == 1 for r in judged)
    tn = sum(r.label == 0 and r.verdict == 0 for r in judged)
    yes, no = sum(r.label for r in judged), sum(1 - r.label for r in judged)
    assert found["parse_rate"]["value"] == 0.9
    assert found["sensitivity"]["value"] == pytest.approx(tp / yes)
    assert found["specificity"]["value"] == pytest.approx(tn / no)
    n, said = yes + no, tp + no - tn
    chance = (yes * said + no * (n - said)) / n**2
    assert found["kappa"]["value"] == pytest.approx(((tp + tn) / n - chance) / (1 - chance))
    assert found["error"]["value"] == pytest.approx((yes - said) / n)
    assert found["usable"] and "usable" in found["verdict"]
    assert found["length"]["bias"] == pytest.approx(0.5, abs=0.08)


@pytest.mark.parametrize(
    ("se", "sp", "said"),
    [
        (0.5, 0.5, "not better than chance"),
        (0.62, 0.66, "fair"),
        (1.0, 0.0, "nothing to do with the answer"),
        (0.1, 0.2, "not better than chance"),
    ],
)
def test_a_bad_judge_is_called_one(se, sp, said) -> None:
    made = rows(se, sp)
    found = measure_verdicts(made, seed=0)
    assert not found["usable"] and "bad judge" in found["verdict"] and said in found["verdict"]


def test_length_bias_is_seen_through_the_labels() -> None:
    made = [
        CheckedRow(r.label, float(r.words > 15), None, r.cluster, r.words) for r in rows(0.9, 0.9)
    ]
    assert measure_verdicts(made, seed=0)["length"]["bias"] == 1.0


@pytest.mark.parametrize("form", ["published", "own"])
def test_both_forms_of_labels(form, tmp_path: Path) -> None:
    path = tmp_path / "labels.jsonl"
    if form == "published":
        lines = [
            {"prompt": "Q: Why?\nA: So. Or so.\nHelpful:", "completion": " yes"},
            {"prompt": "Q: Why?\nA:\nHelpful:", "completion": " no"},
        ]
    else:
        lines = [
            {"question": "Why?", "answer": "So. Or so.", "label": True},
            {"question": "Why?", "answer": "", "label": "No"},
        ]
    path.write_text("\n".join(map(json.dumps, lines)))
    found = read_labels(path, None if form == "published" else "info", None, None, 0)
    assert [a.text for a in found.answers] == ["So. Or so.", ""]
    assert (found.labels, found.metric) == ([1, 0], "info")
    assert len({a.sample.id for a in found.answers}) == 2
    assert len({a.sample.cluster for a in found.answers}) == 1


def test_a_limit_draws_the_same_rows_again_and_labels_stay_out_of_the_samples(tmp_path) -> None:
    path = tmp_path / "labels.jsonl"
    lines = [{"question": f"{i}?", "answer": "x", "label": i % 2} for i in range(50)]
    path.write_text("\n".join(map(json.dumps, lines)))
    found = read_labels(path, None, None, 20, 3)
    assert read_labels(path, None, None, 20, 3) == found and len(found.labels) == 20
    assert found.total == 50
    run = create_check(tmp_path / "check", path, found)
    (cell,) = run.plan.cells
    assert all("label" not in s.metadata for s in run.samples(cell.samples).values())
    assert evaluate(run, [], "truth", 0) == [] and run.config["labels_total"] == 50


def test_one_label_alone_and_odd_labels_are_refused(tmp_path) -> None:
    path = tmp_path / "labels.jsonl"
    path.write_text('{"question": "a", "answer": "b", "label": 1}\n')
    with pytest.raises(DataError, match="1 label, all the same"):
        read_labels(path, None, None, None, 0)
    path.write_text('{"question": "a", "answer": "b", "label": "maybe"}\n')
    with pytest.raises(DataError, match="'maybe'"):
        read_labels(path, None, None, None, 0)


def test_gold_items_carry_what_a_rubric_shows_of_their_question(tmp_path) -> None:
    path = tmp_path / "gold.jsonl"
    rows = [
        {"question": "Who?", "answer": "Ann.", "label": "yes", "best_answer": "Ann",
         "fields": {"required_facts": ["Ann"]}},
        {"question": "Who?", "answer": "Bo.", "label": "no"},
    ]  # fmt: skip
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    first, second = (a.sample for a in read_labels(path, "recall_pass", None, None, 0).answers)
    assert first.metadata["required_facts"] == ["Ann"] and first.target == "Ann"
    assert "required_facts" not in second.metadata
    path.write_text(json.dumps({**rows[0], "fields": ["Ann"]}) + "\n")
    with pytest.raises(DataError, match="'fields' must be an object"):
        read_labels(path, "recall_pass", None, None, 0)


def grades(off: float, noise: int, n: int = 200, seed: int = 0) -> list[CheckedRow]:
    rng = random.Random(seed)
    made = []
    for i in range(n):
        label = rng.randrange(1, 6)
        grade = label + off + rng.randrange(-noise, noise + 1)
        made.append(CheckedRow(label, grade, None, f"q{i // 2}", rng.randrange(1, 40)))
    return made


def test_grades_are_compared_in_their_own_unit() -> None:
    made = [*grades(1, 1), CheckedRow(3, None, None, "q0", 3)]
    found = measure_grades(made, seed=0)
    judged = [row for row in made if row.verdict is not None]
    error = [row.label - row.verdict for row in judged]
    assert found["n"] == 201 and found["judged"] == 200
    assert found["error"]["value"] == pytest.approx(sum(error) / 200)
    assert found["distance"]["value"] == pytest.approx(sum(map(abs, error)) / 200)
    assert found["same"]["value"] == sum(e == 0 for e in error) / 200
    # off by one: the order is right, the grades are not
    assert found["kappa"]["value"] < found["rank_correlation"] - 0.1
    assert abs(found["length"]) < 0.2
    longer = [CheckedRow(r.label, r.label + (r.words > 20), None, r.cluster, r.words) for r in made]
    assert measure_grades(longer, seed=0)["length"] > 0.7


def test_grades_without_meaning_are_called_so() -> None:
    constant = [CheckedRow(r.label, 3.0, None, r.cluster, r.words) for r in grades(0, 0)]
    found = measure_grades(constant, seed=0)
    assert not found["usable"] and "nothing to do" in found["verdict"]
    assert found["rank_correlation"] is None
    assert measure_grades(grades(0, 0), seed=0)["kappa"]["value"] == 1.0


def test_labels_are_verdicts_or_grades(tmp_path) -> None:
    path = tmp_path / "labels.jsonl"
    lines = [{"question": f"{i}?", "answer": "x", "label": i % 5 + 1} for i in range(10)]
    path.write_text("\n".join(map(json.dumps, lines)))
    found = read_labels(path, "stance", None, None, 0)
    assert found.are_grades and found.labels[:3] == [1.0, 2.0, 3.0]
    for odd in ("maybe", "nan", "inf", None):
        path.write_text(json.dumps({**lines[0], "label": odd}) + "\n")
        with pytest.raises(DataError, match="number of a grade"):
            read_labels(path, "stance", None, None, 0)
