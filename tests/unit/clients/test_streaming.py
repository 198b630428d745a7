"""Answers of an API as they come, from servers that stream and from those that don't."""

import json

import pytest
from loopback_api import Answer, ask, loopback, reply

from trimtab.chat.api import ApiPartner
from trimtab.chat.partner import Asked
from trimtab.clients.streaming import stream_chat
from trimtab.core.errors import ConfigError, ModelError
from trimtab.core.spec import Endpoint
from trimtab.core.types import SamplingParams

SAMPLING = SamplingParams(max_tokens=5)
(MESSAGES,) = ask("Why?")


def endpoint(url: str) -> Endpoint:
    return Endpoint(base_url=url, model="m", api_key_env=None, price="free", timeout_s=5)


def events(*texts: str, reason: str = "stop", done: bool = True) -> Answer:
    made = [{"choices": [{"delta": {"content": text}}]} for text in texts]
    made += [{"choices": [{"delta": {}, "finish_reason": reason}]}, {"choices": [], "usage": {}}]
    lines = [": a comment", *(f"data: {json.dumps(event)}" for event in made)]
    lines += ["data: [DONE]"] if done else []
    return 200, {"Content-Type": "text/event-stream"}, "\n\n".join(lines) + "\n\n"


@pytest.mark.parametrize(
    ("sent", "pieces"),
    [
        (events("So", " it", " is"), ["So", " it", " is", "stop"]),
        (events("So", reason="length", done=False), ["So", "length"]),
        (reply("whole"), ["whole", "stop"]),
        (events(), ["stop"]),
    ],
)
def test_pieces_and_the_reason_of_the_end(sent: Answer, pieces: list[str]) -> None:
    with loopback(lambda *_: sent) as (url, seen):
        assert list(stream_chat(endpoint(url), MESSAGES, SAMPLING, 2**40 + 3)) == pieces
    assert seen[0][0] == "/v1/chat/completions"
    body = seen[0][1]
    assert body["stream"] and body["max_tokens"] == 5 and body["seed"] == 3


@pytest.mark.parametrize(
    ("sent", "says"),
    [
        ((401, {}, '{"error": {"message": "wrong\\nkey"}}'), r"refuses \(401\): wrong key\."),
        ((500, {}, "<html>"), r"refuses \(500\): <html>"),
        ((200, {}, '{"error": {"message": "busy"}}'), r"refuses \(200\): busy"),
        ((200, {}, "<html>hello"), "no chat reply: '<html>hello'"),
        ((200, {}, "data: [1]\n\n"), "no chat reply"),
        ((200, {}, 'data: {"choices": [3]}\n\n'), "no chat reply"),
    ],
)
def test_what_is_no_answer_is_one_line(sent: Answer, says: str) -> None:
    with loopback(lambda *_: sent) as (url, _), pytest.raises(ModelError, match=says) as caught:
        list(stream_chat(endpoint(url), MESSAGES, SAMPLING, 0))
    assert "\n" not in str(caught.value)


def test_a_server_that_is_not_there_and_a_key_that_is_not_set(monkeypatch) -> None:
    with pytest.raises(ModelError, match="can't be reached"):
        list(stream_chat(endpoint("http://127.0.0.1:9/v1"), MESSAGES, SAMPLING, 0))
    monkeypatch.delenv("NO_KEY", raising=False)
    keyed = endpoint("http://127.0.0.1:9/v1").model_copy(update={"api_key_env": "NO_KEY"})
    with pytest.raises(ModelError, match="NO_KEY is not set"):
        list(stream_chat(keyed, MESSAGES, SAMPLING, 0))


def test_it_is_a_partner_with_one_voice() -> None:
    said: list[str] = []
    with loopback(lambda *_: events("So", " it", " is ")) as (url, _):
        partner = ApiPartner(endpoint(url))
        asked = Asked({"base": MESSAGES}, SAMPLING, 0)
        ((voice, answer),) = partner.answers(asked, said.append)
        assert (voice, answer.text, answer.finish_reason) == ("base", "So it is", "eos")
        assert "".join(said) == "So it is "
        with pytest.raises(ConfigError, match="/strength 1"):
            list(partner.answers(Asked({"base": MESSAGES}, SAMPLING, 0, 0.5), said.append))
