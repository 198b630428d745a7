"""The local judge: P(yes) as a slow forward gives it, in the order of the questions."""

import pytest
import torch
from as_they_come import listed

from trimtab.core.types import Message
from trimtab.engine.chat import LocalChat
from trimtab.engine.engine import Engine

WORDS = {
    "yes": ("Yes", " Yes", "yes", " yes", "YES", " YES"),
    "no": ("No", " No", "no", " no", "NO", " NO"),
}
PROMPTS = [(Message(role="user", content="Is water wet?" * n),) for n in (3, 1, 2)]


@pytest.fixture
def chat(load_tiny) -> LocalChat:
    return LocalChat(Engine(load_tiny("llama"), max_rows=2))


def test_p_yes_is_the_share_of_the_softmax_at_the_next_token(chat: LocalChat) -> None:
    engine = chat.engine
    first = {k: {engine.renderer.encode(w)[0] for w in words} for k, words in WORDS.items()}
    yes, no = sorted(first["yes"] - first["no"]), sorted(first["no"] - first["yes"])
    assert yes and no
    expected = []
    for prompt in PROMPTS:
        ids = torch.tensor([engine.renderer.prompt(prompt, "chat")])
        with torch.no_grad():
            p = engine.loaded.model(ids).logits[0, -1].double().softmax(-1)
        expected.append(float(p[yes].sum() / (p[yes].sum() + p[no].sum())))
    assert listed(chat.yes_probabilities(PROMPTS)) == pytest.approx(expected, abs=1e-5)
    assert len({round(p, 6) for p in expected}) == len(PROMPTS), "equal values hide a wrong order"


def test_replies_keep_the_order_of_the_questions(chat: LocalChat) -> None:
    alone = [listed(chat.complete([prompt], 8))[0] for prompt in PROMPTS]
    assert listed(chat.complete(PROMPTS, 8)) == alone
    assert len(set(alone)) > 1, "equal replies hide a wrong order"
    assert listed(chat.yes_probabilities([])) == [] == listed(chat.complete([], 8))


def test_its_identity_is_the_models(chat: LocalChat) -> None:
    assert chat.identity == chat.engine.loaded.identity


def test_a_question_that_is_too_long_costs_no_other_its_answer(chat: LocalChat) -> None:
    long = (Message(role="user", content="a b " * (chat.engine.max_positions or 0)),)
    short = listed(chat.yes_probabilities(PROMPTS))
    mixed = listed(chat.yes_probabilities([PROMPTS[0], long, *PROMPTS[1:]]))
    assert mixed[1] is None
    assert [mixed[0], *mixed[2:]] == pytest.approx(short, abs=1e-5)
    assert listed(chat.complete([long], 4)) == [None]
