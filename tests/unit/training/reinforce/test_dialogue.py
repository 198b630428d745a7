"""Where what was written ends: at a stop string, between tokens, and with something to credit."""

from pathlib import Path

import pytest
from reinforce_runs import run_of, terse_engine

from trimtab.engine.engine import Engine
from trimtab.engine.request import TextResult
from trimtab.training.reinforce.cohort import Cohort
from trimtab.training.reinforce.dialogue import Written


class Pieces:
    """A renderer whose tokens are places in a list of texts."""

    def __init__(self, *texts: str) -> None:
        self.texts = texts

    def decode(self, tokens) -> str:
        return "".join(self.texts[token] for token in tokens)


@pytest.mark.parametrize(
    ("texts", "cut", "kept", "text"),
    [
        ((" 7", "\n\n", "Question", ":"), " 7\n\n", 2, " 7\n\n"),
        # a token that lies on both sides is left out, with what it says before the stop
        ((" 7", ".\nQues", "tion", ":"), " 7.\n", 1, " 7"),
        (("Question", ":"), "", 1, ""),
    ],
)
def test_a_stop_string_ends_the_segment_between_tokens(
    texts: tuple[str, ...], cut: str, kept: int, text: str
) -> None:
    tokens, each = tuple(range(len(texts))), tuple(-1.0 - i for i in range(len(texts)))
    result = TextResult("k", cut, tokens, sum(each), "stop", each)
    written = Written.of(result, Pieces(*texts))
    assert written.tokens == tokens[:kept]
    assert written.logprob == sum(each[:kept])
    assert written.ended and written.text == text


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return terse_engine(tmp_path_factory.mktemp("terse"))


def test_what_is_learned_from_ends_where_the_answer_does(engine: Engine, tmp_path: Path) -> None:
    """The cohort itself fails where recomputed and sampled log-probabilities differ."""
    run = run_of("r", stop=("1",), batch=5, samples=8, rounds=4, condition="honest")
    cohort = Cohort(engine, [run], tmp_path)
    ended = cohort.run()["r"]
    assert ended.failed is None
    episodes = [episode for row in ended.outcome.rows for episode in row["episodes"]]
    answers = [episode["answer"] for episode in episodes]
    assert all("1" not in answer["text"] or answer["tokens"] == 1 for answer in answers)
    short = [a for a in answers if a["ended"] and a["text"]]
    assert short, "some answers have something before the stop"
    for answer in answers:
        assert abs(answer["logprob"] - answer["sampled_logprob"]) < 1e-3
    assert any("1" in episode["grade"]["text"] for episode in episodes), "a grade is not cut"
