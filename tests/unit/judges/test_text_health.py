"""Each sign of damage on a text that shows it and on one that does not."""

import pytest

from trimtab.judges.text_health import TextHealth


def values(item):
    return TextHealth(TextHealth.Config()).verdicts([item], None)[0].values


def test_a_healthy_text(text_item) -> None:
    found = values(text_item("Paris lies on the Seine.", num_tokens=7))
    assert found == {
        "words": 5.0,
        "tokens": 7.0,
        "repetition": 0.0,
        "empty": 0.0,
        "truncated": 0.0,
        "follow_up": 0.0,
        "refusal": 0.0,
        "collapsed": 0.0,
    }


def test_what_an_imported_answer_does_not_say_is_missing(text_item) -> None:
    item = text_item("Paris lies on", num_tokens=0, finish_reason="unknown")
    (found,) = TextHealth(TextHealth.Config()).verdicts([item], None)
    assert (found.values["tokens"], found.values["truncated"]) == (None, None)
    assert found.values["words"] == 3.0
    assert found.error is not None and "how many tokens it has or why it ended" in found.error


@pytest.mark.parametrize(
    ("metric", "text"),
    [
        ("empty", " \n"),
        ("follow_up", "Paris.\nQ: And Rome?"),
        ("refusal", "I'm sorry, but I can't help with that."),
        ("collapsed", "no " * 5000),
    ],
)
def test_signs(text_item, metric, text) -> None:
    assert values(text_item(text))[metric] == 1.0


def test_truncation_is_read_from_the_finish_reason(text_item) -> None:
    assert values(text_item("Paris lies on", finish_reason="length"))["truncated"] == 1.0


def test_all_of_it_is_damage() -> None:
    metrics = TextHealth(TextHealth.Config()).metrics
    assert {metric.role for metric in metrics} == {"damage"}
    assert not any(metric.higher_is_better for metric in metrics)
