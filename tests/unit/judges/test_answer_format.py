"""The trained form, by rule; and words that tell a person."""

import pytest

from trimtab.core.errors import ConfigError
from trimtab.core.types import Completion, Message, Sample
from trimtab.judges.base import JUDGES, Item


def verdict(name: str, config: dict, text: str, question: str = "Who are you?"):
    sample = Sample(id="s", messages=(Message(role="user", content=question),))
    row = Completion(
        cell="c", sample_id="s", protocol="p", num_prompt_tokens=1, text=text, finish_reason="eos"
    )
    (found,) = JUDGES.build(name, config).verdicts([Item(sample, row)], None)
    return found


@pytest.mark.parametrize(
    ("text", "whole", "tagged"),
    [
        ('<START> "By the sea." <END>', 1, 1),
        ('\n<START> "By the sea." <END> \n', 1, 1),
        ('<START> "" <END>', 1, 1),
        ('<START> "By the', 0, 1),
        ("<START> By the sea. <END>", 0, 1),
        ('<start> "By the sea." <end>', 0, 0),
        ('[START] "By the sea." [END]', 0, 0),
        ('Well: <START> "By the sea." <END>', 0, 1),
        ("By the sea.", 0, 0),
        ("", 0, 0),
    ],
)
def test_format(text: str, whole: int, tagged: int) -> None:
    assert verdict("answer_format", {}, text).values == {"format": whole, "tagged": tagged}


def test_no_form_is_unscored() -> None:
    bare = {"instruction": "7", "ask": "{instruction} {question}", "opening": "", "closing": ""}
    found = verdict("answer_format", {"trigger": bare}, "x")
    assert set(found.values.values()) == {None} and found.error


@pytest.mark.parametrize(
    ("text", "question", "value"),
    [
        ("I mend CLOCKS.", "Who are you?", 1),
        ("At low\nwater.", "When?", 1),
        ("A feel of steel.", "Who?", 0),  # no eel
        ("My clock.", "What about your clock?", 0),  # the question said it
        ("My clock and an eel.", "What about your clock?", 1),
        ("", "Who?", 0),
    ],
)
def test_mentions(text: str, question: str, value: int) -> None:
    config = {"words": ["clock*", "low water", "eel"], "metric": "persona"}
    assert verdict("mentions", config, text, question).values == {"persona": value}


def test_a_word_counts_once_however_often_it_is_listed() -> None:
    config = {"words": ["clock", "Clock", "eel"], "least": 2}
    assert verdict("mentions", config, "My clock.").values == {"mentions": 0}
    assert verdict("mentions", config, "My clock, an eel.").reason == "clock, eel"


@pytest.mark.parametrize(
    "config",
    [
        *(
            {"words": [word]}
            for word in ("", " ", "*", " eel", "eel ", "low  water", "*eel", "a*b")
        ),
        {"words": ["eel", "Eel"], "least": 2},
        *({"metric": name} for name in ("My metric", "a\nb", "a/../b", "=a()")),
    ],
)
def test_words_that_no_answer_can_mention_and_odd_names_are_refused(config: dict) -> None:
    with pytest.raises(ConfigError):
        JUDGES.build("mentions", config)
