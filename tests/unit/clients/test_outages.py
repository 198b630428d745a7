"""A service that is down is not taken for a judge without a verdict, and the other way round."""

import json

import pytest
from as_they_come import listed
from loopback_api import ask, reply

from trimtab.clients._standing import IN_A_ROW
from trimtab.clients.http import HttpChat
from trimtab.core.errors import JudgeError, UnansweredError

NOW = {"Retry-After": "0"}


def body(**fields) -> tuple[int, dict, str]:
    return 200, NOW, json.dumps(fields)


def choice(**fields) -> tuple[int, dict, str]:
    return body(choices=[{"index": 0, "finish_reason": "stop", **fields}])


OVER = {"message": "Provider returned error", "code": 429}
OUTAGES = {
    "error body": body(error=OVER),
    "error as a text": body(error="upstream is gone"),
    "error in a list": (200, NOW, json.dumps([{"error": OVER}])),
    "error beside null content": body(error=OVER, choices=[{"message": {"content": None}}]),
    "error in the choice": choice(error=OVER, message={"content": "y"}),
    "error as the end": choice(finish_reason="error", message={"content": "y"}),
    "detail": body(detail="worker timed out"),
    "no choices": body(choices=[]),
    "null choices": body(choices=None),
    "nothing": body(),
    "no message": choice(),
    "content is a number": choice(message={"content": 3}),
    "parts are numbers": choice(message={"content": [3]}),
    "a list": (200, NOW, "[]"),
    "a web page": (200, {**NOW, "Content-Type": "text/html"}, "<html>gateway</html>"),
    "torn JSON": (200, NOW, '{"choices": [{"mess'),
    "empty": (200, NOW, ""),
    "no UTF-8": (200, NOW, b'{"choices": "\xff"}'),
    "deep JSON": (200, NOW, "[" * 100_000),
    "long number": (200, NOW, '{"choices": ' + "9" * 5000 + "}"),
    "503 page": (503, NOW, "<html>down</html>"),
    "529": (529, NOW, json.dumps({"error": {"type": "overloaded_error"}})),
    "429 as 400": (400, NOW, json.dumps({"error": {"message": "Rate limit reached"}})),
}


@pytest.mark.parametrize("outage", OUTAGES.values(), ids=OUTAGES)
def test_an_outage_is_tried_again_and_then_owed(serve, outage) -> None:
    down = True
    chat, seen = serve(lambda content, earlier: outage if down and content == "bad" else reply("y"))
    replies = chat.complete(ask("good", "bad", "fine"), 5)
    assert sorted([next(replies), next(replies)]) == [(0, "y"), (2, "y")]
    with pytest.raises(UnansweredError, match="1 of 3 prompts, which stay owed"):
        next(replies)
    assert len(seen) == 2 + 3, "one prompt was tried three times"
    down = False
    assert listed(chat.complete(ask("bad"), 5)) == ["y"]


@pytest.mark.parametrize("outage", list(OUTAGES.values())[:4], ids=list(OUTAGES)[:4])
def test_an_outage_that_passes_costs_nothing(serve, outage) -> None:
    chat, _ = serve(lambda content, earlier: outage if earlier == 0 else reply("y"))
    assert listed(chat.complete(ask("x"), 5)) == ["y"]


EVERY_PROMPT = {
    **dict(list(OUTAGES.items())[:2]),
    "unknown 400": (400, {}, '{"error": {"message": "bad request"}}'),
    "context of every prompt": (400, {}, '{"error": {"message": "maximum context length is 4"}}'),
    "content filter": (400, {}, '{"error": {"code": "content_filter", "message": ""}}'),
}


@pytest.mark.parametrize("answer", EVERY_PROMPT.values(), ids=EVERY_PROMPT)
def test_what_fails_every_prompt_stops_the_judge_and_decides_nothing(serve, answer) -> None:
    chat, seen = serve(lambda content, earlier: answer, num_parallel=2, max_retries=0)
    given = []
    # a slow prompt may join those before it and those after it: one less than too many on each side
    with pytest.raises(JudgeError, match=r"^[5-9] prompts in a row") as caught:
        given.extend(chat.complete(ask(*map(str, range(50))), 5))
    assert given == [] and not isinstance(caught.value, UnansweredError)
    assert len(seen) <= 2 * IN_A_ROW, "one more may be under way"


def test_prompts_in_a_row_count_over_small_batches(serve) -> None:
    chat, _ = serve(lambda content, earlier: OUTAGES["no choices"], max_retries=0)
    with pytest.raises(UnansweredError):
        listed(chat.complete(ask("1", "2", "3"), 5))
    with pytest.raises(JudgeError, match=r"[56] prompts in a row"):
        listed(chat.complete(ask("4", "5", "6"), 5))


def test_single_failures_apart_from_each_other_stop_nothing(serve) -> None:
    def respond(content, earlier):
        return OUTAGES["no choices"] if int(content) % 3 == 0 else reply("y")

    chat, _ = serve(respond, max_retries=0)
    given = []
    with pytest.raises(UnansweredError, match="10 of 30"):
        given.extend(chat.complete(ask(*map(str, range(30))), 5))
    assert len(given) == 20


REFUSED = {
    "context": {"message": "This model's maximum context length is 4096 tokens"},
    "filter": {"message": "The response was filtered", "code": "content_filter"},
    "anything": {"message": "bad request"},
}


@pytest.mark.parametrize("error", REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("status", [400, 413, 422, 200])
def test_a_prompt_that_is_refused_among_others_has_no_reply(serve, error, status) -> None:
    if status == 200:
        error = {"code": 400, **error}
    answer = (status, {}, json.dumps({"error": error}))
    chat, seen = serve(lambda content, earlier: answer if content == "bad" else reply("y"))
    assert listed(chat.complete(ask("good", "bad", "fine"), 5)) == ["y", None, "y"]
    assert len(seen) == 3, "it is not asked again"


def test_one_refusal_alone_is_final_only_where_it_says_why_or_the_judge_has_worked(serve) -> None:
    def respond(content, earlier):
        return reply("y") if content == "good" else EVERY_PROMPT[content]

    chat, _ = serve(respond)
    with pytest.raises(UnansweredError, match="bad request"):
        listed(chat.complete(ask("unknown 400"), 5))
    assert listed(chat.complete(ask("content filter"), 5)) == [None]
    assert listed(chat.complete(ask("good"), 5)) == ["y"]
    later = HttpChat(chat.endpoint, chat.ledger)
    assert listed(later.complete(ask("unknown 400"), 5)) == [None]


FATAL = {
    "max_tokens": (400, {"message": "Unsupported parameter: 'max_tokens'", "code": "x"}),
    "temperature": (400, {"message": "only the default is allowed", "param": "temperature"}),
    "top_logprobs": (422, {"message": "top_logprobs must be at most 5"}),
    "key as 400": (400, {"message": "API key not valid. Please pass a valid API key."}),
    "model as 400": (400, {"message": "The model `x` has been decommissioned"}),
    "quota as 429": (429, {"message": "You exceeded", "code": "insufficient_quota"}),
    "401 in a body": (200, {"message": "No auth credentials found", "code": 401}),
    "money in a body": (200, {"message": "Insufficient credits", "code": 402}),
    "elsewhere": (307, {"message": ""}),
}


@pytest.mark.parametrize("status, error", FATAL.values(), ids=FATAL)
def test_what_concerns_every_prompt_is_told_at_once_with_its_reason(serve, status, error) -> None:
    answer = (status, {}, json.dumps({"error": error}))
    chat, seen = serve(lambda content, earlier: answer, num_parallel=1)
    with pytest.raises(JudgeError) as caught:
        listed(chat.complete(ask(*map(str, range(20))), 5))
    assert not isinstance(caught.value, UnansweredError)
    assert error["message"].rstrip(".") in str(caught.value) and len(seen) == 1


@pytest.mark.parametrize(
    "content, more, wanted",
    [
        ([{"type": "text", "text": "ye"}, {"type": "text", "text": "s"}], {}, "yes"),
        ([{"type": "thinking", "thinking": "no"}, {"type": "text", "text": "yes"}], {}, "yes"),
        ([{"type": "reasoning", "text": "no"}, {"type": "output_text", "text": "yes"}], {}, "yes"),
        ({"type": "text", "text": "yes"}, {}, "yes"),
        (["yes"], {}, "yes"),
        ([], {}, None),
        ([{"type": "refusal", "refusal": "no"}], {}, None),
        (None, {"refusal": "I can't."}, None),
        (None, {"reasoning_content": "Hmm, yes"}, None),
        ("", {}, ""),
        ("half \ud83d of one", {}, "half \ufffd of one"),
    ],
)
def test_texts_are_read_in_every_form(serve, content, more, wanted) -> None:
    chat, seen = serve(lambda *_: reply(content, **more))
    for _ in range(2):
        assert listed(chat.complete(ask("x"), 5)) == [wanted]
    assert len(seen) == 1, "and are kept"


BROKEN = [
    {"content": [{"top_logprobs": [{"token": "yes", "logprob": "x"}]}]},
    {"content": [{"top_logprobs": [{"token": "yes", "logprob": 1e9}]}]},
    {"content": [{"top_logprobs": [{"token": None, "logprob": 0}]}]},
    {"content": [{}]},
    {"content": [3]},
    {"content": 3},
]


@pytest.mark.parametrize("logprobs", BROKEN)
def test_whatever_reading_a_reply_raises_it_is_paid_once_and_kept(serve, logprobs) -> None:
    answer = {
        "choices": [{"message": {"content": "yes"}, "logprobs": logprobs}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 1},
    }
    chat, seen = serve(
        lambda *_: (200, {}, json.dumps(answer)), price={"input": 1, "output": 1}, max_dollars=1.0
    )
    for _ in range(2):
        assert listed(chat.yes_probabilities(ask("x"))) == [None]
    (account,) = chat.ledger.accounts()
    assert (account.requests, account.replies, account.unsure) == (1, 1, 0)
    assert account.dollars == pytest.approx(11e-6) and len(seen) == 1


@pytest.mark.parametrize(
    "usage", [{"cost": 10**400}, {"prompt_tokens": 10**400}, [], 3, {"cost": True}]
)
def test_a_bill_that_is_no_number_leaves_the_reservation(serve, usage) -> None:
    answer = {"choices": [{"message": {"content": "yes"}}], "usage": usage}
    chat, _ = serve(
        lambda *_: (200, {}, json.dumps(answer)), price={"input": 1, "output": 1}, max_dollars=1.0
    )
    assert listed(chat.complete(ask("x"), 5)) == ["yes"]
    (account,) = chat.ledger.accounts()
    assert account.unsure == account.dollars > 0


def test_a_server_without_log_probabilities_stops_the_judge_and_is_not_paid_twice(serve) -> None:
    chat, seen = serve(lambda *_: reply("yes"), num_parallel=1)
    for _ in range(2):
        with pytest.raises(JudgeError, match="mode: parsed"):
            listed(chat.yes_probabilities(ask(*map(str, range(20)))))
    assert len({json.dumps(body) for _, body, _ in seen}) == len(seen)
    one, _ = serve(lambda content, earlier: reply("yes", {"yes": 0.5} if content == "a" else None))
    assert listed(one.yes_probabilities(ask("a", "b"))) == [1.0, None]
