"""A key is sent and nowhere else: not in messages, not in logs, not in what is kept."""

import json
import logging
import traceback

import pytest
from as_they_come import listed
from loopback_api import ask, reply

from trimtab.core.errors import ConfigError, JudgeError
from trimtab.core.spec import Endpoint
from trimtab.runs.store.log import log_to

KEY = "sk-very-secret"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422, 429, 500, 200])
def test_a_key_that_a_server_repeats_is_hidden_everywhere(serve, tmp_path, status) -> None:
    error = {"message": f"Incorrect key: Bearer {KEY}", "param": KEY, "type": "x"}
    chat, _ = serve(lambda *_: (status, {"Retry-After": "0"}, json.dumps({"error": error})))
    with log_to(tmp_path / "log"), pytest.raises(JudgeError) as caught:
        try:
            listed(chat.complete(ask("x"), 5))
        except JudgeError:
            logging.getLogger("trimtab.test").exception("stopped")
            raise
    shown = "".join(traceback.format_exception(caught.value))
    kept = (tmp_path / "spend.jsonl").read_text() + (tmp_path / "log").read_text()
    assert KEY not in shown + kept and "Incorrect key" in str(caught.value)


def test_a_judge_that_says_the_key_is_kept_without_it(serve, tmp_path) -> None:
    chat, _ = serve(lambda *_: reply(f"yes, {KEY}"))
    assert listed(chat.complete(ask("x"), 5)) == ["yes, [hidden]"]
    assert KEY not in (tmp_path / "spend.jsonl").read_text()


@pytest.mark.parametrize("around", ["{}\n", "  {}\r\n", "\ufeff{}"])
def test_blank_space_around_a_key_is_cut(serve, monkeypatch, around) -> None:
    chat, seen = serve(lambda *_: reply("y"))
    monkeypatch.setenv("TRIMTAB_TEST_KEY", around.format(KEY))
    assert listed(chat.complete(ask("x"), 5)) == ["y"]
    assert seen[0][2] == f"Bearer {KEY}"


@pytest.mark.parametrize(
    "odd", ["\n", "\t", " ", "\u201c", "\u00e9", "\x7f", "\u200b", "\U0001f511"]
)
def test_a_key_that_can_stand_in_no_header_is_refused_unseen(serve, monkeypatch, odd) -> None:
    chat, seen = serve(lambda *_: reply("y"))
    monkeypatch.setenv("TRIMTAB_TEST_KEY", f"sk-sec{odd}ret-of-mine")
    with pytest.raises(JudgeError, match="TRIMTAB_TEST_KEY holds no key: character 7") as caught:
        listed(chat.complete(ask("x"), 5))
    shown = "".join(traceback.format_exception(caught.value))
    assert seen == [] and "sk-sec" not in shown and "ret-of-mine" not in shown


@pytest.mark.parametrize(
    "url",
    [
        "https://user:hunter22@host/v1",
        "https://hunter22@host/v1",
        "user:hunter22@host/v1",
        "https://host/v1?key=hunter22",
        "https://host/v1#hunter22",
        "https://host:hunter22/v1",
        "https://[hunter22/v1",
        "https://host/sk-hunter22hunter22hunter22/v1",
        "https://host/v1\nhunter22",
        "ftp://host/hunter22",
        "https:///hunter22",
        "hunter22",
    ],
)
def test_an_address_with_a_secret_is_refused_without_repeating_it(url) -> None:
    from trimtab.core.config import validate

    data = {"base_url": url, "model": "m", "price": "free"}
    with pytest.raises(ConfigError) as caught:
        validate(Endpoint, data, "endpoint")
    error: BaseException | None = caught.value
    while error is not None:
        assert "hunter22" not in str(error)
        error = error.__context__


def test_a_long_part_of_an_address_is_used_and_not_shown(client) -> None:
    url = "http://127.0.0.1:9/0123456789abcdef0123456789abcdef/openai/v1"
    chat = client(url, max_retries=0)
    with pytest.raises(JudgeError) as caught:
        listed(chat.complete(ask("x"), 5))
    assert chat.endpoint.base_url == url
    assert "http://127.0.0.1:9/\u2026/openai/v1" in str(caught.value)
    assert "0123456789" not in str(caught.value)


def test_a_body_cannot_break_the_line_of_a_message(serve) -> None:
    message = "a\x1b[31mb\r\nc\u2028d " + "long " * 9999
    chat, _ = serve(lambda *_: (401, {}, json.dumps({"error": {"message": message}})))
    with pytest.raises(JudgeError) as caught:
        listed(chat.complete(ask("x"), 5))
    assert "a [31mb c d long" in str(caught.value) and len(str(caught.value)) < 600
    assert str(caught.value).isprintable()
