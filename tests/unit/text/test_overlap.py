import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trimtab.text.overlap import (
    distinct_n,
    is_collapsed,
    longest_repeat_run,
    normalise_question,
    repetition,
)

FEW_WORDS = st.lists(st.sampled_from(["a", "b", "c"]), max_size=24)

HEALTHY = (
    "The watermelon seeds pass through your digestive system. Nothing grows in the stomach, "
    "because seeds need soil, water and light, and the stomach is dark and full of acid."
)
TABLE = "Name | Age\n" + "-" * 40 + "\nAnna | 31\nBert | 27\nClara | 55\nDavid | 41\nEmil | 12"

CALCULATION = "3 * (16.50 + 22.50 + 42) = $<<3*(16.50+22.50+42)=243>>243. She spent $243."


def slow_repetition(found):
    seen, num_repeated, num_all = [], 0, 0
    for i in range(len(found) - 3):
        ngram = found[i : i + 4]
        num_repeated += ngram in seen
        num_all += 1
        seen.append(ngram)
    return num_repeated / num_all if num_all else 0.0


def slow_longest_run(found):
    best = 0
    for start in range(len(found)):
        for period in range(1, 9):
            for end in range(start + 2 * period, len(found) + 1):
                stretch = found[start:end]
                phrase = stretch[:period]
                if all(word == phrase[i % period] for i, word in enumerate(stretch)):
                    best = max(best, len(stretch))
    return best


@given(FEW_WORDS)
@settings(deadline=None)
def test_repetition_agrees_with_counting(found):
    assert repetition(" ".join(found)) == pytest.approx(slow_repetition(found))


@given(FEW_WORDS)
@settings(deadline=None)
def test_longest_run_agrees_with_trying_every_stretch(found):
    assert longest_repeat_run(" ".join(found)) == slow_longest_run(found)


def test_short_texts_have_no_repetition_and_no_ngrams():
    assert repetition("no no no") == 0.0
    assert repetition("") == 0.0
    assert distinct_n("no no no", 4) is None
    assert distinct_n("No, no! NO", 1) == pytest.approx(1 / 3)
    with pytest.raises(ValueError, match="n=0"):
        distinct_n("a b", 0)


@pytest.mark.parametrize(
    "text",
    [
        "the the the the the the the the the the",
        "I am happy. " * 10,
        HEALTHY
        + " and so on and so on and so on and so on and so on and so on and so on and so on",
        "!" * 60,
        "hahahahahahahahahahahahahahaha",
        "你好" * 30,
        "One two three four five six seven eight nine ten eleven. " * 4,
    ],
)
def test_loops_are_found(text):
    assert is_collapsed(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Yes.",
        "No, no, no!",
        HEALTHY,
        TABLE,
        "Bora Bora",
        CALCULATION,
        "3 + 3 = 6 and 6 + 6 = 12",
    ],
)
def test_healthy_texts_are_no_loops(text):
    assert not is_collapsed(text)


def test_long_texts_are_screened_in_reasonable_time():
    assert not is_collapsed("".join(chr(0x4E00 + i) for i in range(20_000)))


@pytest.mark.parametrize(
    "variant",
    [
        "what's the\u00a0capital   of france",
        "What\u2019s the capital of France?",
        "WHAT'S THE CAPITAL OF FRANCE ?!",
        "\tWhat's the \uff43\uff41\uff50\uff49tal of France...\n",
    ],
)
def test_variants_of_a_question_are_one_question(variant):
    assert normalise_question(variant) == "what's the capital of france"


def test_different_questions_stay_different():
    assert normalise_question("What is 2.5?") != normalise_question("What is 25?")
    assert normalise_question("???") == "???"


@given(st.text())
@settings(deadline=None)
def test_normalising_twice_changes_nothing(text):
    once = normalise_question(text)
    assert normalise_question(once) == once
    assert bool(once) == bool(" ".join(text.split()))
