"""The max-minus-max metric, with a similarity that can be worked out by hand."""

import math

import pytest

from trimtab.clients.scripted import ScriptedEmbedder
from trimtab.core.errors import JudgeError
from trimtab.judges.semantic import Semantic

TABLE = {"true": 0.5, "truer": 0.75, "false": 0.25, "I have no comment.": 0.125}


@pytest.fixture
def encoder() -> ScriptedEmbedder:
    return ScriptedEmbedder(lambda left, right: TABLE[right] * (-1 if left == "wrong" else 1))


@pytest.fixture
def judge() -> Semantic:
    return Semantic(Semantic.Config())


def test_max_true_minus_max_false(judge, encoder, text_item) -> None:
    refs = {"correct_answers": ["true", "truer"], "incorrect_answers": ["false"]}
    good, bad = judge.verdicts([text_item("x", **refs), text_item("wrong", **refs)], encoder)
    assert good.values == {"semantic": 0.5, "semantic_acc": 1.0}
    # "I have no comment." is the nearest right answer here, though the sample does not list it.
    assert bad.values == {"semantic": 0.125, "semantic_acc": 1.0}


def test_no_difference_is_no_success(judge, text_item) -> None:
    item = text_item("x", correct_answers=["a"], incorrect_answers=["b"])
    (verdict,) = judge.verdicts([item], ScriptedEmbedder(lambda left, right: 0.3))
    assert verdict.values == {"semantic": 0.0, "semantic_acc": 0.0}


def test_what_is_unscored(judge, text_item) -> None:
    item = text_item("x", correct_answers=["a"], incorrect_answers=["b"])
    (verdict,) = judge.verdicts([item], ScriptedEmbedder(lambda left, right: math.nan))
    assert verdict.values == {"semantic": None, "semantic_acc": None}
    (verdict,) = judge.verdicts([text_item("x", correct_answers=["a"])], ScriptedEmbedder(max))
    assert verdict.error == "the sample's metadata has no incorrect_answers"


def test_no_encoder_is_an_error(judge, text_item) -> None:
    with pytest.raises(JudgeError, match="measures similarity"):
        judge.verdicts([text_item("x")], None)
