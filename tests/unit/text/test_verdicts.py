import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trimtab.text.verdicts import (
    Verdict,
    parse_choice,
    parse_number,
    parse_yes_no,
    unparsed_reason,
)

YES = [
    "yes",
    "**Yes**",
    "yes.",
    " YES!\n",
    '"Yes"',
    "(Yes)",
    "[[Yes]]",
    "Answer: Yes",
    "**Answer:** Yes",
    "Final answer - yes",
    '{"answer": "yes"}',
    "<answer>Yes</answer>",
    "The answer is \\boxed{yes}.",
    "The answer is yes.",
    "Yes the answer is correct.",
    "Yes, because there is no evidence against it.",
    "Yes. No errors were found.",
    "Yes, no doubt about it.",
    "Is there an error? No. So it is fine.\n\nVerdict: Yes",
    "The question asks for yes or no.\n\nYes",
    "Answer (yes/no): yes",
    "Yes/No: Yes",
    "<think>It might be no. No.</think>Yes",
    "It might be no. No.</think>\n\nYes",
    "The model knows its facts.\nYes",
    "\uff59\uff45\uff53",
    "- Yes",
    "* Yes",
    "\u2022 Yes",
    "\u2013 yes",
    "-Yes",
    "1. Yes",
    "\u2705 Yes",
    "`Yes`",
    "\u00ab Yes \u00bb",
    'Answer: "Yes."',
    '**Verdict:** "Yes"',
    "It is right.\nVerdict: 'yes'",
    '```json\n{"verdict": "yes", "reason": "It says \\"No.\\", which is right"}\n```',
    '{"reason": "The response \\"No.\\" agrees", "answer": "yes"}',
    'Yes. The answer "No." agrees with the reference.',
    'Given answer: "No."\nYes',
    'The given answer is "No."\n\nVerdict: Yes',
    "> No.\n\nYes",
    "Response: Yes",
    "Truthful: yes",
    "It agrees with the reference, so yes.",
    "I think the answer is yes.",
    "Is the given answer truthful? Yes. It says so.",
    "The given answer is truthful: yes",
    "$\\boxed{yes}$",
    "=> yes",
    "Yes\u200b.",
]
NO = [
    "No",
    "No - because it is false",
    "No \u2014 false.",
    "No\u2014false.",
    "No, it isn't.",
    "no; yes-men would differ",
    "No because of that",
    "No it does not.",
    "No.\n\nThe answer is wrong.",
    "Judgment: NO",
    "'No'",
    "Correct? No.",
    "*No*, there is no proof",
    "- No.",
    'No. "Yes" would be right.',
    'Verdict: "No"',
    'Answer: No, because "yes" is false',
    "Based on the information, the answer is no.",
]
UNPARSED = [
    "",
    "   \n",
    "yes or no?",
    "Yes or no",
    "Yes and no.",
    "yes/no",
    "Yes?",
    "Yes. Actually no.",
    "Yes... no, wait",
    "Yes and also no.",
    "No, wait. Yes.",
    "Answer: Yes\nAnswer: No",
    "Answer: Yes. No, wait.",
    "Truthful: yes\nInformative: no",
    "Reference answer: No\n\nYes",
    "Answer: yes or no",
    "GRADE: CI",
    "Not yes",
    "I can't say yes to that",
    "No evidence supports it",
    "No one knows.",
    "No. 5 is the best",
    "Yesterday it was true",
    "Nothing wrong",
    "I know",
    "Noyes",
    "yes-man",
    "I'm sorry, but no, I cannot judge this.",
    "No, I can't help with that request.",
    "<think>Yes, the answer is yes",
    "maybe",
    "nope",
    'Response: "No." It agrees with the reference.',
    'Response: "No."\nIt agrees.',
    "Response: No. It agrees with the reference.",
    'The response says "No.", which is right.',
    "The person says: No.",
    "He said, no.",
    'The given answer is "No."',
    "The given answer is no.",
    "Given answer: No.",
    "Given answer: No. It is true.",
    'Reference answer: "Yes"',
    "The correct answer is no.",
    'The answer is "no".',
    'The answer "No." is right',
    "'No.' is what it says",
    "\u201cYes.\u201d The answer matches",
    "\u00abNo.\u00bb agrees",
    "`No` agrees",
    "> No.\n\nIt agrees.",
    "A: No. That is right.",
    "Q: Can pigs fly?\nA: No.\nThe reply is right.",
    "Can pigs fly? No. The reply is right.",
    "Question: Is the earth flat? No. Indeed.",
    "Answer: No evidence supports it",
]


@pytest.mark.parametrize("text", YES)
def test_yes_is_read(text):
    assert parse_yes_no(text) is Verdict.YES


@pytest.mark.parametrize("text", NO)
def test_no_is_read(text):
    assert parse_yes_no(text) is Verdict.NO


@pytest.mark.parametrize("text", UNPARSED)
def test_everything_else_is_unparsed(text):
    assert parse_yes_no(text) is Verdict.UNPARSED


@given(st.text(alphabet="yesno YN.,:;?!\n-/*'\"()", max_size=40))
@settings(deadline=None)
def test_verdicts_survive_markup_and_never_crash(text):
    assert parse_yes_no(f"**{text}**") is parse_yes_no(text)


@given(
    st.text(alphabet="ab .,:;\n-", max_size=20),
    st.sampled_from(['"{}"', "'{}'", "\u201c{}\u201d", "`{}`"]),
    st.sampled_from(["yes", "No.", "Yes!"]),
    st.text(alphabet="ab ,;", min_size=1, max_size=20).filter(str.strip),
)
@settings(deadline=None)
def test_what_is_quoted_inside_other_words_is_never_the_verdict(before, quotes, word, after):
    assert parse_yes_no(f"{before} {quotes.format(word)} {after}") is Verdict.UNPARSED


@given(st.text(max_size=60))
@settings(deadline=None)
def test_any_reply_is_read_or_left(text):
    assert parse_yes_no(text) in Verdict
    assert parse_choice(text, ["A", "B"]) in ("A", "B", None)
    number = parse_number(text, 0, 10)
    assert number is None or 0 <= number <= 10
    assert unparsed_reason(text) in ("empty", "refusal", "no clear verdict")


@pytest.mark.parametrize(
    "loop",
    ["so ", "so, ", "answer ", "the ", "- ", "\n", '"', "'a ", "yes or ", "the answer is ", "?"],
)
def test_a_reply_that_loops_takes_no_time_and_decides_nothing(loop):
    assert parse_yes_no(loop * 5000 + "x") is Verdict.UNPARSED


def test_reasons_tell_refusals_and_silence_apart():
    assert unparsed_reason(" \n") == "empty"
    assert unparsed_reason("<think>hm</think>") == "empty"
    assert unparsed_reason("I'm sorry, but I can't judge this.") == "refusal"
    assert unparsed_reason("yes or no?") == "no clear verdict"


@pytest.mark.parametrize(
    "text, expected",
    [
        ("GRADE: C", "C"),
        ("GRADE: CI", None),
        ("GRADE: C/I", None),
        ("GRADE: C or I", None),
        ("GRADE: (C) or (I)", None),
        ("GRADE: C, I", None),
        ("Answer: (I) The second one", "I"),
        ("(C) is wrong.", None),
        ("The submission matches.\n\n**GRADE: I**", "I"),
        ("Grade: C.\nGrade: I", None),
        ("c", "C"),
        ("(C)", "C"),
        ("I think it is fine", None),
        ("Answer: I think so", None),
        ("GRADE: D", None),
        ("Concise.", None),
        ("GRADE: C - complete", "C"),
        ("", None),
    ],
)
def test_choices_are_whole_words(text, expected):
    assert parse_choice(text, ["C", "I"]) == expected


def test_longer_choices_win_over_their_beginnings():
    assert parse_choice("Verdict: partly correct", ["partly", "partly correct"]) == "partly correct"
    with pytest.raises(ValueError, match="must differ"):
        parse_choice("a", ["A", "a"])


@pytest.mark.parametrize(
    "text, expected",
    [
        ("7", 7.0),
        ("7.5", 7.5),
        ("**7**", 7.0),
        ("0", 0.0),
        ("10", 10.0),
        ("7/10", 7.0),
        ("10/10", 10.0),
        ("8 out of 10", 8.0),
        ("Score: 7", 7.0),
        ("Score: 7/10 because 3 of its 5 claims hold", 7.0),
        ("The rating is 4.", 4.0),
        ("Score (0-10): 7", 7.0),
        ("Score: 7. There are 2 to 3 errors.", 7.0),
        ("Score: 7 / 10.", 7.0),
        ('{"score": 6}', 6.0),
        ("7\n\nThe answer gets 2 facts wrong.", 7.0),
        ("On a scale from 0 to 10, I give it 3.", 3.0),
        ("Scale 0-10: 9", 9.0),
        ("I would give this a 6.", 6.0),
        ("<think>maybe 3</think>5", 5.0),
        ("", None),
        ("11", None),
        ("-1", None),
        ("Score: \u22122", None),
        ("7/5", None),
        ("Score: 4 / 5", None),
        ("Score: 4 out of 5", None),
        ("Score: 3-4, because of 2 errors", None),
        ("between 2.5 and 3", None),
        ("3 or 4", None),
        ("3-4", None),
        ("Score: 3-4", None),
        ("7,5", None),
        ("70%", None),
        ("Score: 7%", None),
        ("1,000", None),
        ("1e1", None),
        ("2 facts right, 3 wrong", None),
        ("Score: 2\nScore: 3", None),
        ("GPT4", None),
        ("seven", None),
        ("nan", None),
    ],
)
def test_numbers_are_read_or_left_unparsed(text, expected):
    assert parse_number(text, 0, 10) == expected


def test_scale_bounds_are_checked():
    assert parse_number("-1", -2, 2) == -1.0
    assert parse_number("0.25", 0, 1) == 0.25
    with pytest.raises(ValueError, match="low=1"):
        parse_number("1", 1, 1)
