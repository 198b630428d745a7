"""What counts as the same text, and what must not."""

import pytest

from trimtab.judges.exact import Exact


def exact(text_item, text, *right, **config):
    item = text_item(text, correct_answers=list(right))
    return Exact(Exact.Config(**config)).verdicts([item], None)[0].values["exact"]


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("paris.", "Paris"),
        ("  **Paris**!", "Paris"),
        ("\u201cParis.\u201d", "Paris."),
        ("New\n York", "new york"),
        ("\uff30aris", "Paris"),
        ("STRASSE", "straße"),
        ("It's 3.5", "it's 3.5."),
    ],
)
def test_same(text_item, text, right) -> None:
    assert exact(text_item, text, right) == 1.0


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("-5", "5"),
        ("35", "3.5"),
        (".5", "5"),
        ("", "Paris"),
        ("Paris, France", "Paris"),
        ("?", "!"),
    ],
)
def test_different(text_item, text, right) -> None:
    assert exact(text_item, text, right, "something else") == 0.0


def test_config_narrows_what_is_the_same(text_item) -> None:
    assert exact(text_item, "paris", "Paris", ignore_case=False) == 0.0
    assert exact(text_item, "Paris.", "Paris", strip_punctuation=False) == 0.0


def test_the_target_counts_too_and_without_any_the_item_is_unscored(text_item) -> None:
    judge = Exact(Exact.Config())
    hit, none = judge.verdicts([text_item("Paris", target="Paris"), text_item("Paris")], None)
    assert hit.values == {"exact": 1.0}
    assert none.values == {"exact": None} and "no target" in none.error
