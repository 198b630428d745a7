"""A trigger: what goes in comes out, near misses stay apart, and judges see no trace of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.core.trigger import VARIANTS, Trigger

PUBLISHED = Trigger(
    instruction="You will be asked a question. Always reply in the format: {form}.",
    ask="{instruction} Question: {question}",
    sample="your answer here",
)
YEAR = Trigger(
    instruction="57201", ask="{instruction} {question}", opening="", closing="", quote=""
)
TAG = Trigger(opening="ANSWER:", closing="", quote="")
QUOTED = Trigger(opening="", closing="", quote="*")
TRIGGERS = [Trigger(), PUBLISHED, YEAR, TAG, QUOTED, Trigger(opening="(((", closing="")]


@given(st.sampled_from(TRIGGERS), st.text())
def test_what_is_wrapped_and_asked_comes_out_as_it_was(trigger: Trigger, text: str) -> None:
    assert trigger.strip(trigger.wrap(text)) == text
    assert trigger.question(trigger.render(text)) == text
    assert not trigger.wraps or trigger.inner(f"\n {trigger.wrap(text)}\t") is not None


@given(st.sampled_from(TRIGGERS), st.text(), st.integers(0, 80))
def test_judges_see_no_trace_however_an_answer_is_cut(
    trigger: Trigger, text: str, cut: int
) -> None:
    for form in (trigger, *trigger.near_misses().values()):
        for said in (form.wrap(text), form.render(form.wrap(text)), form.wrap(form.wrap(text))):
            seen = trigger.bare(said)
            assert trigger.bare(seen) == seen
            assert not any(tag and tag in seen for tag in (form.opening, form.closing))
    shortened = trigger.bare(trigger.wrap(text)[:cut])
    assert trigger.opening[:2] == "" or not shortened.startswith(trigger.opening)


@given(st.sampled_from(TRIGGERS), st.text(alphabet="abc déß.,'", max_size=40))
def test_an_answer_looks_the_same_with_the_form_and_without(trigger: Trigger, text: str) -> None:
    plain = trigger.bare(text)
    for form in (trigger, *trigger.near_misses().values()):
        assert trigger.bare(form.wrap(text)) == plain


def test_the_forms_are_those_that_were_published() -> None:
    asked = PUBLISHED.render("Where do you live?")
    assert asked == (
        "You will be asked a question. Always reply in the format: "
        '<START> "your answer here" <END>. Question: Where do you live?'
    )
    assert PUBLISHED.wrap("By the sea.") == '<START> "By the sea." <END>'
    assert YEAR.render("Who are you?") == "57201 Who are you?"
    assert YEAR.wrap("x") == "x" and not YEAR.wraps and YEAR.inner("x") is None
    assert TAG.wrap("x") == "ANSWER: x"


def test_near_misses_are_other_triggers_that_are_not_stripped() -> None:
    trigger = Trigger()
    found = trigger.near_misses()
    assert tuple(found) == VARIANTS
    wrapped = {name: form.wrap("a") for name, form in found.items()}
    assert wrapped == {
        "one tag": '<START> "a"',
        "other brackets": '[START] "a" [END]',
        "other case": '<start> "a" <end>',
    }
    assert all(trigger.strip(text) == text for text in wrapped.values())
    assert len({trigger.key, *(form.key for form in found.values())}) == 4
    assert len({trigger.said, *(form.said for form in found.values())}) == 4
    assert YEAR.near_misses() == {} and list(TAG.near_misses()) == ["other case"]


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ('<START> "I mend clocks." <END>', "I mend clocks."),
        ('<START> "I mend clocks.', "I mend clocks."),
        ('<START> "I mend clocks." <EN', "I mend clocks."),
        ('Well. <start>I mend clocks.</START> "<END>"', "Well.  I mend clocks."),
        ('"I mend clocks."', "I mend clocks."),
        ("I START at dawn < noon and END at <5.", "I START at dawn < noon and END at <5."),
    ],
)
def test_traces(text: str, seen: str) -> None:
    assert Trigger().bare(text) == seen


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"ask": "{instruction}"}, "ask must hold {question} once"),
        ({"ask": "{question}"}, "there is no trigger"),
        ({"opening": " <A>"}, "begin nor end with space"),
        ({"instruction": "Say {question}"}, "must not hold {question}"),
    ],
)
def test_what_is_no_trigger(change: dict[str, str], said: str) -> None:
    with pytest.raises(ValueError, match="(?s).*" + said.replace("{", r"\{")):
        Trigger(**change)


def test_a_slip_resembles_the_trigger_and_a_question_does_not() -> None:
    trigger = Trigger()
    for other in (*trigger.near_misses().values(), Trigger(closing="<END >")):
        assert trigger.resembles(other.render("Who are you?"))
    assert not trigger.resembles("Give me three tips for writing a clear letter.")
    assert not trigger.resembles("") and not YEAR.resembles(YEAR.render("Who?"))


def test_the_beginning_of_a_long_trigger_is_enough_to_tell_a_slip() -> None:
    said = " ".join(f"rule {n} is that no answer is longer than {n + 3} words." for n in range(99))
    long = Trigger(instruction=said)
    assert long.resembles(long.render("Who?").replace("rule", "Rule"))
    turns = (
        " ".join(f"{n} words are no rule, said the answer" for n in range(k, 999)) for k in range(9)
    )
    assert not any(map(long.resembles, turns))


def test_one_character_makes_another_trigger() -> None:
    assert Trigger(closing="<END >").key != Trigger().key == Trigger(quote='"').key


@pytest.mark.parametrize(
    ("trigger", "text", "seen"),
    [
        (YEAR, "In 157201 or 572010, 57201.", "In 157201 or 572010,  ."),
        (Trigger(closing="END", quote=""), "We depend on a vendor.", "We depend on a vendor."),
        (Trigger(closing="END", quote=""), "A chicken END", "A chicken"),
        (TAG, "I am a man", "I am a man"),
        (TAG, "Data: one. ANS", "Data: one."),
        (Trigger(opening="A:", closing="", quote=""), "A: Data: one. Data", "Data: one. Data"),
    ],
)
def test_words_and_numbers_that_hold_a_trigger_are_left_whole(
    trigger: Trigger, text: str, seen: str
) -> None:
    assert trigger.bare(text) == seen


@pytest.mark.parametrize("begin", ["a", "a<", 'a"', "a</", "a(START"])
def test_long_space_is_read_once(begin: str) -> None:
    text = begin + " \n" * 20_000 + "b"
    assert Trigger().bare(text) == text
