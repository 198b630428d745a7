"""Whatever a server sends is a reply, an owed prompt, or a line that says why; never more."""

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from as_they_come import listed
from hypothesis import given, settings
from hypothesis import strategies as st
from loopback_api import ask, loopback

from trimtab.clients.budget import Ledger
from trimtab.clients.http import HttpChat
from trimtab.core.errors import JudgeError
from trimtab.core.spec import Endpoint, Price

SERVED: dict[str, object] = {}

leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
anything = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["message", "content", "text", "type", "code", "error", "logprobs"]),
            inner,
        )
    ),
    max_leaves=8,
)
token = st.fixed_dictionaries({"token": anything, "logprob": anything})
choices = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "message": st.fixed_dictionaries({"content": anything}, optional={"error": anything}),
            "logprobs": st.fixed_dictionaries(
                {}, optional={"content": st.lists(token | anything, max_size=2)}
            ),
            "finish_reason": st.sampled_from(["stop", "error", None]),
        },
    )
    | anything,
    max_size=2,
)
usage = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(["cost", "prompt_tokens", "completion_tokens"], anything)
)
bodies = st.fixed_dictionaries(
    {}, optional={"choices": choices | anything, "error": anything, "usage": usage | anything}
)
contents = bodies.map(json.dumps).map(str.encode) | st.binary(max_size=40)
statuses = st.sampled_from([200] * 6 + [201, 204, 302, 400, 401, 404, 413, 422, 429, 451, 500, 503])
encodings = st.sampled_from([None] * 6 + ["gzip", "deflate", "br", "identity"])


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    def respond(content: str, earlier: int) -> tuple:
        headers = {"Retry-After": "0"}
        if SERVED["encoding"] is not None:
            headers["Content-Encoding"] = SERVED["encoding"]
        return SERVED["status"], headers, SERVED["content"]

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NO_PROXY", "127.0.0.1")
        with loopback(respond) as (address, _):
            yield address


@settings(deadline=None, max_examples=80)
@given(content=contents, status=statuses, encoding=encodings, as_text=st.booleans())
def test_any_body_is_a_reply_or_a_line_and_its_money_is_settled(
    url, content, status, encoding, as_text
) -> None:
    SERVED.update(content=content, status=status, encoding=encoding)
    endpoint = Endpoint(
        base_url=url,
        model="m",
        api_key_env=None,
        price=Price(input=1, output=1),
        max_dollars=1e9,
        max_retries=0,
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "spend.jsonl"
        chat = HttpChat(endpoint, Ledger(path))
        try:
            (value,) = listed(
                chat.complete(ask("x"), 5) if as_text else chat.yes_probabilities(ask("x"))
            )
        except JudgeError as error:
            assert str(error).isprintable() and len(str(error)) < 800
        else:
            kind = str if as_text else float
            assert value is None or isinstance(value, kind)
            assert as_text or value is None or 0 <= value <= 1
            lines = [json.loads(line) for line in path.read_text().splitlines()]
            assert any("reply" in line for line in lines) or (value is None and status != 200)
        entries = [json.loads(line) for line in path.read_text().splitlines()]
        reserved = {entry["id"] for entry in entries if entry["kind"] == "reserve"}
        assert reserved == {entry["id"] for entry in entries if entry["kind"] == "settle"}
        again = Ledger(path)
        assert again.spent() == chat.ledger.spent() >= 0
