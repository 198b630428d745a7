"""The API client against a real server on the loopback interface."""

import json
import math
import time

import pytest
from as_they_come import listed
from loopback_api import ask, prompt_of, reply

from trimtab.clients.budget import Ledger
from trimtab.clients.http import HttpChat
from trimtab.core.errors import JudgeError
from trimtab.core.spec import Endpoint
from trimtab.core.types import Chat, Continuer


def test_replies_keep_the_order_of_the_prompts(serve) -> None:
    def respond(content, earlier):
        time.sleep(0.02 * (3 - int(content)))
        return reply(f"reply {content}")

    chat, seen = serve(respond)
    assert isinstance(chat, Chat)
    assert listed(chat.complete(ask("0", "1", "2", "3"), 9)) == [f"reply {i}" for i in range(4)]
    path, body, authorization = seen[0]
    assert path == "/v1/chat/completions" and authorization == "Bearer sk-very-secret"
    assert (body["model"], body["temperature"], body["max_tokens"]) == ("judge-1", 0.0, 9)
    assert "sk-very-secret" not in f"{chat.identity} {vars(chat)}"


def test_replies_come_as_they_finish_and_only_what_is_owed_is_sent(serve) -> None:
    def respond(content, earlier):
        time.sleep(0.5 if content == "0" else 0.0)
        return reply(f"reply {content}")

    chat, seen = serve(respond)
    replies = chat.complete(ask("0", "1", "2", "1"), 9, [True, True, False, False])
    assert list(replies) == [(1, "reply 1"), (0, "reply 0")]
    assert sorted(prompt_of(body) for _, body, _ in seen) == ["0", "1"]
    assert list(chat.complete(ask("3"), 9, [False])) == []


def test_replies_under_way_are_passed_on_before_the_error_of_another(serve) -> None:
    def respond(content, earlier):
        if content == "refused":
            return 401, {}, '{"error": {"message": "bad key"}}'
        time.sleep(0.3)
        return reply("yes")

    chat, _ = serve(respond, num_parallel=2)
    replies = chat.complete(ask("good", "refused"), 5)
    assert next(replies) == (0, "yes")
    with pytest.raises(JudgeError, match="status 401"):
        next(replies)


def test_yes_probability_sums_spellings(serve) -> None:
    tops = {
        "both": {"Yes": 0.375, " yes": 0.125, "No": 0.125, "Maybe": 0.25},
        "only": {"no": 0.5, "yesterday": 0.25},
        "neither": {"Maybe": 0.9},
        "absent": None,
    }
    chat, seen = serve(lambda content, earlier: reply("Yes", tops[content]))
    assert listed(chat.yes_probabilities(ask(*tops))) == [pytest.approx(0.8), 0.0, None, None]
    assert (seen[0][1]["logprobs"], seen[0][1]["max_tokens"]) == (True, 1)


def test_overload_is_waited_out_as_long_as_the_server_says(serve) -> None:
    def respond(content, earlier):
        if earlier == 0:
            return 429, {"Retry-After": "1.25"}, '{"error": {"message": "slow down"}}'
        return reply("yes")

    chat, seen = serve(respond)
    start = time.monotonic()
    assert listed(chat.complete(ask("x"), 5)) == ["yes"]
    # Without the header the wait would be half a second at most.
    assert time.monotonic() - start >= 1.25
    assert len(seen) == 2


def test_retries_are_finite(serve) -> None:
    chat, seen = serve(lambda content, earlier: (503, {"Retry-After": "0.01"}, "{}"), max_retries=3)
    with pytest.raises(JudgeError, match="status 503"):
        listed(chat.complete(ask("x"), 5))
    assert len(seen) == 4


def test_a_refused_key_is_fatal_at_once_and_spares_the_rest(serve) -> None:
    refusal = (401, {}, '{"error": {"message": "bad key"}}')
    chat, seen = serve(lambda content, earlier: refusal, num_parallel=1)
    with pytest.raises(JudgeError, match="TRIMTAB_TEST_KEY") as caught:
        listed(chat.complete(ask(*map(str, range(50))), 5))
    assert "sk-very-secret" not in str(caught.value)
    assert len(seen) < 10


def test_an_unknown_model_is_fatal(serve) -> None:
    chat, _ = serve(lambda content, earlier: (404, {}, '{"error": {"message": "no model"}}'))
    with pytest.raises(JudgeError, match="judge-1"):
        listed(chat.complete(ask("x"), 5))


def test_a_missing_key_names_the_variable(serve, monkeypatch) -> None:
    chat, seen = serve(lambda content, earlier: reply("yes"))
    monkeypatch.delenv("TRIMTAB_TEST_KEY")
    with pytest.raises(JudgeError, match="TRIMTAB_TEST_KEY is not set"):
        listed(chat.complete(ask("x"), 5))
    assert seen == []


def test_an_absent_server_says_where_it_was_sought(tmp_path) -> None:
    endpoint = Endpoint(
        base_url="http://127.0.0.1:9/v1", model="m", api_key_env=None, price="free", max_retries=0
    )
    chat = HttpChat(endpoint, Ledger(tmp_path / "spend.jsonl"))
    with pytest.raises(JudgeError, match=r"m@http://127\.0\.0\.1:9/v1 can't be reached"):
        listed(chat.complete(ask("x"), 5))


def test_a_wait_longer_than_a_minute_ends_the_batch(serve) -> None:
    chat, seen = serve(lambda content, earlier: (429, {"Retry-After": "3600"}, "{}"))
    with pytest.raises(JudgeError, match="3600 s"):
        listed(chat.complete(ask("x"), 5))
    assert len(seen) == 1


def test_equal_prompts_are_sent_once_and_never_again(serve) -> None:
    chat, seen = serve(lambda content, earlier: reply(f"reply {content}"))
    assert listed(chat.complete(ask("a", "b", "a"), 5)) == ["reply a", "reply b", "reply a"]
    later = HttpChat(chat.endpoint, Ledger(chat.ledger.path))
    assert listed(later.complete(ask("b", "c"), 5)) == ["reply b", "reply c"]
    assert [body["messages"][-1]["content"] for _, body, _ in seen[2:]] == ["c"]
    assert listed(later.complete(ask("b"), 6)) == ["reply b"] and len(seen) == 4, (
        "another length is asked"
    )


def test_a_judge_that_continues_texts_is_asked_for_the_word_alone(serve) -> None:
    tops = {"Q: a\nA: b\nTrue:": {" yes": math.log(0.75), " no": -3.0}, "sure": {" no": 0.0}}

    def respond(content, earlier):
        shown = {"logprobs": {"top_logprobs": [tops.get(content, {})]}, "text": "", "index": 0}
        return 200, {}, json.dumps({"choices": [shown]})

    chat, seen = serve(respond)
    assert isinstance(chat, Continuer)
    found = listed(chat.next_probabilities([*tops, "nothing"], " yes"))
    assert found == [pytest.approx(0.75), 0.0, None]
    assert {path for path, *_ in seen} == {"/v1/completions"}
