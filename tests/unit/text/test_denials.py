"""A number, grade or verdict that a text denies is none; a denial of something else takes none."""

import pytest

from trimtab.text.answers import EXTRACTORS, chat
from trimtab.text.verdicts import Verdict, parse_number, parse_yes_no

DENIED = [
    "The answer is not 42",
    "The answer is 42. That's not right.",
    "\\boxed{42}. It\u2019s not right",
    "The answer is 42. Wait, that is wrong.",
    "The answer is 42. Actually no.",
    "The answer is 42. No wait, it's not.",
    "The answer is 42 - no, that is wrong.",
    "42 is the wrong answer.",
    "42 - wrong",
    "x != 42",
    "The answer isn't 9",
    "#### not 9",
    "It isn\u2019t 56.",
    "The answer is definitely not 56, I cannot solve this.",
    "It can't be 7.",
    "It is no longer 5",
    "It was never 5",
    "neither 4 nor 5",
    "56 is not the answer",
    "42 is wrong",
    "9 isn't right",
    "42 is clearly not the correct answer",
    "42 can't be right",
    "The answer is 42 is wrong.",
    "The answer is 42. That is wrong.",
    "He has 42 apples, which is not the right answer.",
    "I don't think the answer is 42.",
    "I doubt it's 42",
    "The wrong answer is 42",
    "Not the answer: 42",
    "Is it 42? No.",
    "42 (wrong)",
    "The answer is nine is wrong",
    "x is not equal to 9",
    "The answer is not **9**",
    "5 + 6 = 11. It isn't 56.",
    "The answer is not 42, but 43 is not right either",
    r"The answer is not \boxed{42}",
    r"\boxed{42} is wrong",
    r"\boxed{\text{not } 42}",
    "The answer is not forty-two.",
    "We get 42. The answer is not forty-two.",
    "The answer is 42. But the answer is not 42.",
    "#### 42\nActually, it is not forty-two.",
    r"\boxed{42} No, it's not forty-two.",
    "not 10 % of 50",
    "The answer is not 10 % of 50.",
    "It is not half of 10",
    "There's no way it's 42.",
    "Some say 42, but they are wrong.",
    "My friend said 42 apples, but he is mistaken.",
    "They got 42, but they're wrong",
    "Is it 42? I can't say for sure.",
    "Is it 42? I'm not sure if that is right.",
    "Is it 42? Hard to say for sure without more data.",
    "They answered 42, but they are wrong.",
    "Tom wrote 42, but he is wrong.",
    "There is some doubt that it's 42",
    "I still doubt that it's 42",
    "My mother said 42, but she is wrong",
    "42 was my first guess, but it is wrong.",
    "Is it 42? I don't know.",
    "Is it 42? I'm not sure.",
    "It is impossible that the answer is 42",
    "It's false that the answer is 42",
    "I wouldn't say 42.",
    "Nobody would say 42",
    "We do not get 42.",
    "It is hardly 42",
    "The answer differs from 42.",
    "The answer is not, in fact, 42.",
    "42 does not work.",
    "42 is too large.",
    "The answer is more than 42",
    "I don't believe that it is more than 42",
    "The answer is not a hundred",
    "Is it 42? I'm not sure of that.",
    "Is it 42? I'm not sure any more.",
    "Is it 42? I don't know how to check.",
]
KEPT = [
    ("People doubt that it is 42. It is 42.", "42"),
    ("They doubt it's 42, but it is.", "42"),
    ("I scarcely doubt it's 42", "42"),
    ("I rarely doubt it's 42", "42"),
    ("Nor do I doubt it's 42", "42"),
    ("Others say 41. I say 42, and they are wrong.", "42"),
    ("He says 41 and I say 42, but he is wrong.", "42"),
    ("Is it 42? We can't say it's wrong.", "42"),
    ("Is it 42? Not sure why you ask: yes.", "42"),
    ("There is no doubt it's 42", "42"),
    ("I don't doubt it's 42", "42"),
    ("Without a doubt it's 42", "42"),
    ("There's little doubt that it's 42", "42"),
    ("I never doubt that it's 42", "42"),
    ("Without much doubt it's 42", "42"),
    ("Is it 42? I cannot say for sure why, but yes", "42"),
    ("It isn't anything but 42", "42"),
    ("It couldn\u2019t be anything but 42", "42"),
    ("I'd say 42, and he is wrong", "42"),
    ("I finally got 42, and they are wrong", "42"),
    ("My calculation says 42, and they are wrong", "42"),
    ("It can't be anything but 42", "42"),
    ("The answer is 42. They are wrong about the rest.", "42"),
    ("42 was my first guess, and it is right.", "42"),
    ("What is 20 + 23? I don't know, maybe 43.", "43"),
    ("not 42 but 43", "43"),
    ("43 (not 42)", "43"),
    ("43. Not 42.", "43"),
    ("43, definitely not 42", "43"),
    ("The answer is 42. That's not surprising.", "42"),
    ("The answer is 42. But it's not in metres.", "42"),
    ("The answer is 42 - no doubt.", "42"),
    ("The total was 40. No, it is 42.", "42"),
    ("The answer is not 42 but 43.", "43"),
    ("It isn't 56, it's 57", "57"),
    ("It's 57, not 56.", "57"),
    ("The answer is 57, not 56.", "57"),
    ("57 apples instead of 56", "57"),
    ("The answer is 42. The answer is not 43.", "42"),
    ("Is it 42? No, it is 43.", "43"),
    (r"$\boxed{42}$ is not correct. $\boxed{43}$", "43"),
    ("I did not use 3. The answer is 42", "42"),
    ("not only 42", "42"),
    ("There are not more than 42 people. The answer is 42", "42"),
    ("There are not more than 42 people", "42"),
    ("The answer is 42, is it not?", "42"),
    ("The answer is 42, isn't that right?", "42"),
    ("That's not right: the answer is 42", "42"),
    ("The answer is 42 because 41 is wrong", "42"),
    ("42 is not wrong", "42"),
    ("No, 42", "42"),
    ("5 * 8 = 40, not 42. The answer is 42", "42"),
    ("The answer is forty-two. It is not forty-two thousand.", "42"),
    ("He did not eat 3", "3"),
    ("5 is not enough, so the answer is 12", "12"),
    ("He sold 12 that day, which is not bad", "12"),
    ("It is 42. It's not 41.", "42"),
    ("The answer is not twenty but thirty", "30"),
    ("The answer is not twenty. It is thirty.", "30"),
    ("The answer is a hundred, not 90.", "100"),
    ("The answer is thirty apples, 5 of which are red", "30"),
    ("He needs at least 42 boxes.", "42"),
    ("5 is 2 more than 3", "3"),
    ("4 is too small, so it is 5", "5"),
    ("3 does not work but 4 does. The answer is 4", "4"),
]


@pytest.mark.parametrize("text", DENIED)
def test_a_denied_number_is_no_answer(text: str) -> None:
    assert chat(text).answer is None


@pytest.mark.parametrize(("text", "number"), KEPT)
def test_a_denial_of_something_else_takes_no_answer(text: str, number: str) -> None:
    assert chat(text).answer == number


def test_the_rules_of_lm_eval_know_no_denial() -> None:
    assert EXTRACTORS["flexible"]("The answer is not 42").answer == "42"
    assert EXTRACTORS["strict"]("#### 9 is wrong").answer == "9"


@pytest.mark.parametrize(
    ("text", "grade"),
    [
        ("The score is not 7", None),
        ("I would not give it a 7", None),
        ("Score: 7 is not the right score", None),
        ("7 is wrong", None),
        ("Score: 2. That is wrong.", 2.0),
        ("2 because it is wrong", 2.0),
    ],
)
def test_a_denied_grade_is_unparsed(text: str, grade: float | None) -> None:
    assert parse_number(text, 0, 10) == grade


def test_a_denied_yes_is_no_verdict() -> None:
    assert parse_yes_no("Yes is wrong.") is Verdict.UNPARSED
    assert parse_yes_no("No. That is wrong.") is Verdict.NO


@pytest.mark.timeout(20)
@pytest.mark.parametrize("word", [r"\to", r"\sum", "the ", "$", "in fact ", r"\boxed{"])
def test_fillers_that_repeat_take_no_longer(word: str) -> None:
    text = f"not {word * 60} zz 42"  # each filler could once be read in two ways
    assert chat(text).answer == "42"
