"""Grades as models write them: what is a value, what is not, and what is a refusal."""

import pytest

from trimtab.text.grades import Grade, GradeScale, GradeState, parse_grade

UNIT = GradeScale(whole=False)
TEN = GradeScale(top=10)

VALUES = [
    ("1", 1),
    ("0", 0),
    ("1.", 1),
    (" 1\n", 1),
    ("1!", 1),
    ("1.0", 1),
    ("0.0", 0),
    ("1.00", 1),
    ("**1**", 1),
    ("`0`", 0),
    ('"1"', 1),
    ("'0'", 0),
    ("(1)", 1),
    ("[1]", 1),
    ("\\boxed{1}", 1),
    ("one", 1),
    ("Zero.", 0),
    ("Grade: 1", 1),
    ("Grade: one", 1),
    ("grade = 0", 0),
    ("GRADE 1", 1),
    ("**Grade:** 0", 0),
    ("## Grade: 1", 1),
    ("__Grade__: 1", 1),
    ("My grade is 1.", 1),
    ("The score is: 0", 0),
    ("Self-grade: 1", 1),
    ("Final grade - 0", 0),
    ("Rating \u2014 1", 1),
    ("Overall score for my answer: 1", 1),
    ("So my grade would be 1.", 1),
    ("I'd give this a 1.", 1),
    ("I\u2019d give this a 1.", 1),
    ("I give it a zero", 0),
    ("I would rate my answer as 1.", 1),
    ("I will grade this answer a 0", 0),
    ("I give 1", 1),
    ("I'd give this one a 0.", 0),
    ("I would assign a score of one.", 1),
    ("It's a 1.", 1),
    ("1/1", 1),
    ("1 out of 1", 1),
    ("Grade (0 or 1): 1", 1),
    ("Grade (0/1): 0", 0),
    ("Score (0-1): 1", 1),
    ('{"grade": 1}', 1),
    ('{\n  "score": 0\n}', 0),
    ("<grade>1</grade>", 1),
    ("1 (correct)", 1),
    ("0 - incorrect", 0),
    ("1 because the answer is", 1),
    ("Grade: 0, since the sum is wrong.", 0),
    ("1\n\nExplanation: The answer is right.", 1),
    ("The answer is right.\nGrade: 1", 1),
    ("Grade: 1\n1", 1),
    ("<think>0 or 1?</think>1", 1),
    ("\uff11", 1),
    ("\u0661", 1),
    ("\u0967", 1),
    ("\U0001d7cf", 1),
    ("1\u200b", 1),
    ("1<|im_end|>", 1),
]

UNPARSED = [
    ("", "empty"),
    (" \n\t", "empty"),
    ("\u200b", "empty"),
    ("10", "off scale"),
    ("2", "off scale"),
    ("0.85/1", "off scale"),
    ("0.5", "off scale"),
    ("Grade: 7", "off scale"),
    ("8/10", "off scale"),
    ("1/10", "off scale"),
    ("1 out of 5", "off scale"),
    ("Grade (0-10): 1", "off scale"),
    ("1 (incorrect)", "off scale"),
    ("0 correct", "off scale"),
    ("0/1", "off scale"),
    ("1 or 0", "no grade"),
    ("0 or 1", "no grade"),
    ("0, 1", "no grade"),
    ("[0, 1]", "no grade"),
    ("0-1", "no grade"),
    ("1\n0", "several"),
    ("Grade: 1\nGrade: 0", "several"),
    ("1 0", "no grade"),
    ("-1", "no grade"),
    ("\u22121", "no grade"),
    ("- 1", "no grade"),
    ("+1", "no grade"),
    ("~1", "no grade"),
    (">1", "no grade"),
    ("$1", "no grade"),
    ("#1", "no grade"),
    ("1e0", "no grade"),
    ("0x1", "no grade"),
    ("1%", "no grade"),
    ("100%", "no grade"),
    ("01", "no grade"),
    ("1,0", "no grade"),
    ("1.0.0", "no grade"),
    ("1st", "no grade"),
    ("1?", "no grade"),
    ("1...2", "no grade"),
    ("11", "off scale"),
    ("9" * 400, "no grade"),
    ("NaN", "no grade"),
    ("inf", "no grade"),
    ("None", "no grade"),
    ("N/A", "no grade"),
    ("Answer: 1", "no grade"),
    ("The answer is 1", "no grade"),
    ("23 + 45 = 68", "no grade"),
    ("1. The answer is wrong.", "no grade"),
    ("1) correct 2) wrong", "no grade"),
    ("Grade 1 students learn this", "no grade"),
    ("not 1", "no grade"),
    ("Grade: not 1", "no grade"),
    ("I'd give this one", "no grade"),
    ("one of them", "no grade"),
    ("I don't know", "no grade"),
    ("Correct!", "no grade"),
    ("yes", "no grade"),
    ("true", "no grade"),
    ("full marks", "no grade"),
    ("Grade:", "no grade"),
    ("A", "no grade"),
    ("B+", "no grade"),
    ("1\nQ: What is 3 + 4?", "no grade"),
    ("\u4e00", "no grade"),
    ("\u043e\u0434\u0438\u043d", "no grade"),
    ("\u0648\u0627\u062d\u062f", "no grade"),
    ("\u2460", "no grade"),
    ("\u00b9", "no grade"),
    ("\u00bd", "no grade"),
    ("!!!!!!!!!!", "no grade"),
    ("My answer was 1, so I give it a 1", "no grade"),
    ("I give my answer 1 2 3", "no grade"),
    ("Grade: 1 because 2 + 2 is 4", "no grade"),
    ("You get a 1", "no grade"),
    ("<think>1", "no grade"),
]

REFUSED = [
    "I'm sorry, but I can't grade my own answer.",
    "I cannot assess this.",
    "As an AI language model, I am not able to grade.",
    "I'm unable to provide a grade.",
    "I decline to grade this.",
    "I refuse.",
    "I'd rather not give a grade.",
    "I do not grade myself. 1",
    "I won't give this a 1.",
    "I can\u2019t give a grade of 1.",
    "No comment.",
]


@pytest.mark.parametrize(("text", "value"), VALUES)
def test_what_is_a_grade(text: str, value: int) -> None:
    grade = parse_grade(text)
    assert (grade.state, grade.value, grade.text) == (GradeState.VALUE, value, text)


@pytest.mark.parametrize(("text", "why"), UNPARSED)
def test_what_is_none(text: str, why: str) -> None:
    assert parse_grade(text) == Grade(GradeState.UNPARSED, None, why, text)


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_a_refusal(text: str) -> None:
    assert parse_grade(text) == Grade(GradeState.REFUSED, None, "refusal", text)


@pytest.mark.parametrize(
    ("text", "scale", "value"),
    [
        ("0.85/1", UNIT, 0.85),
        ("0.85", UNIT, 0.85),
        (".5", UNIT, 0.5),
        ("Grade (0.0 to 1.0): 0.85", UNIT, 0.85),
        ("0.7 out of 1.0", UNIT, 0.7),
        ("I'd give it a score of 0.25.", UNIT, 0.25),
        ("\u0660\u066b\u0668", UNIT, 0.8),
        ("0,85", UNIT, None),
        ("85%", UNIT, None),
        ("1.01", UNIT, None),
        ("-0.5", UNIT, None),
        ("7/10", TEN, 0.7),
        ("10", TEN, 1.0),
        ("Grade: seven", TEN, 0.7),
        ("7.5", TEN, None),
        ("7/1", TEN, None),
    ],
)
def test_other_scales(text: str, scale: GradeScale, value: float | None) -> None:
    assert parse_grade(text, scale).value == value


def test_a_long_text_is_read_in_no_time() -> None:
    assert parse_grade("my " * 20_000 + "grade").value is None
    assert parse_grade("I give " + "the my " * 5_000 + "1").value is None
