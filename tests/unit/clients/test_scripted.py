"""A script is read as it is written."""

import pytest
from as_they_come import listed

from trimtab.clients.scripted import ScriptedChat, ScriptedEmbedder
from trimtab.core.errors import JudgeError
from trimtab.core.types import Chat, Embedder, Message


def ask(*texts: str) -> list[tuple[Message, ...]]:
    return [(Message(role="user", content=text),) for text in texts]


def test_mapping_takes_the_first_key_found() -> None:
    chat = ScriptedChat({"Paris": "Yes", "France": 0.25})
    prompts = ask("Paris, France?", "France?", "Rome?")
    assert listed(chat.yes_probabilities(prompts)) == [1.0, 0.25, None]
    assert listed(chat.complete(prompts, 5)) == ["Yes", "no", None]


def test_sequence_is_read_once_over_all_calls() -> None:
    chat = ScriptedChat(["no", "perhaps", 0.75])
    assert listed(chat.yes_probabilities(ask("a", "b"))) == [0.0, None]
    assert listed(chat.complete(ask("c"), 5)) == ["yes"]
    assert [prompt[-1].content for prompt in chat.seen] == ["a", "b", "c"]
    with pytest.raises(JudgeError, match="3 replies"):
        listed(chat.complete(ask("d"), 5))


def test_function_gets_the_prompt() -> None:
    chat = ScriptedChat(lambda prompt: prompt[0].content.upper())
    assert listed(chat.complete(ask("a"), 5)) == ["A"]


def test_they_are_what_judges_ask_for() -> None:
    assert isinstance(ScriptedChat({}), Chat)
    encoder = ScriptedEmbedder(lambda left, right: float(left == right))
    assert isinstance(encoder, Embedder)
    assert encoder.similarity(["a", "b"], ["a", "c"]) == [1.0, 0.0]
