"""Answers to be graded stand in the conversation that grades are trained in."""

import pytest
from reinforce_runs import terse_engine

from trimtab.core.types import Message, Sample
from trimtab.datasets.gradings import Request, corrupted_answers, gold_answers, grading
from trimtab.text.answers import chat
from trimtab.training.reinforce.dialogue import Dialogue


def sample(number=0, target="7", **metadata):
    turn = Message(role="user", content=f"What is 3 + 4?{'?' * number}")
    return Sample(id=f"s{number}", messages=(turn,), target=target, metadata=metadata)


@pytest.mark.parametrize("rendering", ["chat", "plain", "verbatim"])
@pytest.mark.parametrize("system", ["", "Be kind."])
def test_the_prompt_is_that_of_training(tmp_path, rendering, system) -> None:
    renderer = terse_engine(tmp_path).renderer
    dialogue = Dialogue(renderer, rendering, "Grade it: 0 or 1.", system)
    answer = " 7" if rendering == "plain" else "7"
    ids = renderer.encode(answer)
    trained = (*dialogue.task(sample()), *ids, *dialogue.request(ids))
    request = Request("Grade it: 0 or 1.", "binary", system, "own", rendering)
    asked = grading(sample(), "7", 1.0, request)
    assert renderer.decode(renderer.prompt(asked.messages, rendering)) == renderer.decode(trained)
    assert asked.metadata == {
        "answer": "7",
        "source": "own",
        "worth": 1.0,
        "grade_scale": "binary",
    }


def test_corrupted_answers_are_wrong_in_kind() -> None:
    number = corrupted_answers([sample(target="41")])["s0"]
    assert number != "41" and chat(number).answer is not None
    labelled = sample(target="positive", incorrect_answers=["negative"])
    assert corrupted_answers([labelled]) == {"s0": "negative"}
    texts = [sample(0, "Rain fell."), sample(1, "The team won."), sample(2, None)]
    assert corrupted_answers(texts) == {"s0": "The team won.", "s1": "Rain fell."}
    assert gold_answers(texts) == {"s0": "Rain fell.", "s1": "The team won."}
