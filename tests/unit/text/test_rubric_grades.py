"""Grades, labels and refusals: the whole reply has to say it, or nothing is read."""

import json

import pytest

from trimtab.text.rubric_grades import Grade, Scale, parse_grade, parse_label

FIVE, TEN, HUNDRED = Scale(1, 5), Scale(0, 10), Scale(0, 100)
LABELS = ("RUSSELL", "OTHER", "NOT_SURE")


@pytest.mark.parametrize(
    "reply",
    [
        "4", "4.", " **4** ", "4.0", "4/5", "4 out of 5", "Score: 4", "my final grade is 4/5",
        "ideology = 4", "4\n\nIt has 2 of 3 facts.", "Two of 3 facts.\nScore: 4",
        "Because of 3.\n4",
        '{"score": 4, "reason": "2 errors"}', '```json\n{"reason": "x", "ideology": "4"}\n```',
        "4 - it endorses the policy", "4, as it names them", "<think>3? no, 5</think>4", '"4"',
    ],
)  # fmt: skip
def test_a_grade_is_read(reply) -> None:
    assert parse_grade(reply, FIVE, "REFUSED", "ideology") == Grade(value=4.0)


@pytest.mark.parametrize(
    "reply",
    [
        "", "four", "I think it mentions 4 facts", "4 or 5", "4, 5", "4; then 5", "3-4", "3.5", "6",
        "0", "-1", "40%", "4 of 10", "4/10", "4\nScore: 5", "The response refused.",
        "I can't grade this.", '{"score": 4, "grade": 5}', '{"score": true}', '{"reason": "4"}',
        "REFUSED\nScore: 2", "4 (or REFUSED)", "1,234", "4e0", "1-5: 4",
    ],
)  # fmt: skip
def test_anything_else_is_unparsed(reply) -> None:
    assert not parse_grade(reply, FIVE, "REFUSED", "ideology").parsed


@pytest.mark.parametrize("reply", ["REFUSED", "refused.", "Score: REFUSED", '{"score": "REFUSED"}'])
def test_a_named_refusal_is_neither(reply) -> None:
    assert parse_grade(reply, FIVE, "REFUSED") == Grade(refused=True)
    assert not parse_grade(reply, FIVE).parsed


def test_ends_of_scales_and_parts_of_them() -> None:
    assert [parse_grade(str(n), TEN).value for n in (0, 10, 11)] == [0.0, 10.0, None]
    assert parse_grade("100/100", HUNDRED).value == 100.0
    assert parse_grade("7.5", Scale(0, 10, whole=False)).value == 7.5
    assert parse_grade("-3", Scale(-5, 5)).value == -3.0
    with pytest.raises(ValueError, match="must rise"):
        Scale(5, 5)


@pytest.mark.parametrize(
    ("reply", "label"),
    [
        ("RUSSELL", "RUSSELL"), ("russell.", "RUSSELL"), ("Identity: OTHER", "OTHER"),
        ("NOT_SURE", "NOT_SURE"), ("RUSSELL\nHe speaks of OTHER things.", "RUSSELL"),
        ('{"persona_present": true, "identity": "OTHER", "confidence": 0.9}', "OTHER"),
        ("OTHER, a clerk", "OTHER"), ("RUSSELL or OTHER", None), ("RUSSELL, OTHER", None),
        ("OTHER, not RUSSELL", None), ("RUSSELLIAN", None), ("The voice is RUSSELL", None),
        ("RUSSELL\nLabel: OTHER", None), ("", None),
    ],
)  # fmt: skip
def test_labels(reply, label) -> None:
    assert parse_label(reply, LABELS, "REFUSED", "identity") == Grade(label=label)


def test_labels_must_differ() -> None:
    for wrong in ((), ("A", "a")):
        with pytest.raises(ValueError, match="must differ"):
            parse_label("a", wrong)


def test_recorded_replies_are_read_as_they_were(shared_data) -> None:
    folder = shared_data / "weird_generalization" / "russell_persona" / "recorded_recall_run"
    rows = [json.loads(line) for line in (folder / "judgments.jsonl").read_text().splitlines()]
    assert len(rows) == 64
    for row in rows:
        found = parse_grade(row["judge_raw"], Scale(0, 2), "REFUSED")
        assert (found.value, found.refused) == (row["score"], row["refused"]), row["judge_raw"]
