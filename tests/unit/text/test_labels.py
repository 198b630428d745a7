"""Labels are read by whole words; what can be read otherwise is none."""

import pytest

from trimtab.text.labels import parse_label

LABELS = ("negative", "positive")


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("positive", "positive"),
        (" **Negative.**\n", "negative"),
        ("Sentiment: positive", "positive"),
        ("The sentiment of this review is “positive”.", "positive"),
        ("It reads as a positive review, warm and funny.", "positive"),
        ("Positive and negative points stand side by side.\nAnswer: negative", "negative"),
        ("It is not bad at all. Positive", "positive"),
        ("\uff30OSITIVE", "positive"),
        ("positive or negative", None),
        ("positive\nnegative", None),
        ("not positive", None),
        ("It isn\u2019t really positive", None),
        ("This is not positive", None),
        ("Positive is wrong.", None),
        ("positive is not the answer", None),
        ("Positive isn\u2019t right", None),
        ("Negative. That is wrong of them", "negative"),
        ("non-negative", None),
        ("The positively glowing negatives", None),
        ("", None),
        ("I can't say.", None),
        ("positiv", None),
    ],
)
def test_a_label_is_read_only_where_it_is_certain(text, label) -> None:
    assert parse_label(text, LABELS) == label


def test_labels_of_several_words() -> None:
    labels = ("out of scope", "in scope")
    assert parse_label("Label: Out  of scope", labels) == "out of scope"
