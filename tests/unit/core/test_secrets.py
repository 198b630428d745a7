"""Texts without secrets, in whatever form they were repeated."""

import json
from urllib.parse import quote

import pytest

from trimtab.core.errors import JudgeError
from trimtab.core.secrets import looks_issued, redact, remember, shown_url

SECRET = 'pass"word/with+odd chars'


@pytest.fixture(autouse=True)
def known(monkeypatch) -> None:
    monkeypatch.setattr("trimtab.core.secrets._known", set())
    remember(f"{SECRET}\n")
    remember("none")


@pytest.mark.parametrize(
    "form", [SECRET, quote(SECRET, safe=""), json.dumps(SECRET), f"x{SECRET}y", f"{SECRET[:13]}..."]
)
def test_a_known_secret_is_hidden(form) -> None:
    assert "word" not in redact(f"before {form} after none")
    assert redact(f"before {form} after none").startswith("before ")
    assert redact("none") == "none", "a placeholder is no secret"
    assert "word" not in str(JudgeError(f"a {form}", hint=f"b {form}"))


@pytest.mark.parametrize(
    "text, shown",
    [
        ("at https://me:pw@host/x?a=1", "at https://[hidden]@host/x?a=1"),
        ("https://pw@host", "https://[hidden]@host"),
        ("http://h/v1?api_key=pw&b=2", "http://h/v1?api_key=[hidden]&b=2"),
        ("http://h/v1?b=2&token=pw'", "http://h/v1?b=2&token=[hidden]'"),
        ("mail me@host, and // this", "mail me@host, and // this"),
    ],
)
def test_credentials_of_addresses_are_hidden(text, shown) -> None:
    assert redact(text) == shown


def test_addresses_are_shown_without_what_may_be_secret() -> None:
    assert shown_url("https://host:8/openai/deployments/gpt-4o/v1") == (
        "https://host:8/openai/deployments/gpt-4o/v1"
    )
    assert shown_url("https://host/v1/0123456789abcdef01/x") == "https://host/v1/\u2026/x"


@pytest.mark.parametrize(
    "text", ["sk-proj-0123456789abcdef", "hf_ABCdef0123456789", "gsk_1" + "a" * 20]
)
def test_issued_keys_have_a_form(text) -> None:
    assert looks_issued(text)
    assert not any(map(looks_issued, ("v1", "sk-learn-compatible", "openai", "api-inference", "")))
