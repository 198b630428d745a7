"""Texts without secrets, in whatever form they were repeated."""

import json
from urllib.parse import quote

import pytest

from trimtab.core.errors import JudgeError
from trimtab.core.secrets import holds_secret, looks_issued, redact, remember, shown_url

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


@pytest.mark.parametrize(
    "line",
    [
        "export HF_TOKEN=hf_ABCdef0123456789",
        "curl -H 'Authorization: Bearer sk-proj-0123456789abcdef' host",
        f"login '{SECRET}'",
        "export WANDB_API_KEY=0123456789abcdef",
        "--export=MY_PASSWORD='correct horse'",
        "pip install git+https://me:pw@host/x",
        "pip install git+https://0123456789abcdef0123@host/x",
        "pip install git+https://ghp_0123456789abcdefABCD@host/x",
        "enroot import 'docker://$oauthtoken:0123abcd@nvcr.io#nvidia/pytorch'",
        "curl http://h/v1?api_key=pw",
    ],
)
def test_a_line_that_holds_a_secret_is_told(line) -> None:
    assert holds_secret(line)


@pytest.mark.parametrize(
    "line",
    [
        "source ~/keys/hf_token_2024.sh",
        "export HF_TOKEN=$(cat ~/.hf-token)",
        'export HF_TOKEN="$MY_OTHER_TOKEN" SSH_KEY=/home/me/.ssh/key-2024 API_KEY=none',
        "module load cuda/12.4; export TOKENIZERS_PARALLELISM=false",
        "export HF_HOME=/scratch/hf_cache_2024_models",
        "--mail-type=FAIL",
        "pip install git+ssh://git@github.com/org/x",
        "enroot import 'docker://$oauthtoken@nvcr.io#nvidia/pytorch:24.01-py3'",
        "pip install git+https://me:$MY_TOKEN@host:8080/x; curl http://h:80/?token=$(cat t)@x",
        "conda activate hf_transformers_4_40",
    ],
)
def test_a_line_that_reads_its_secrets_elsewhere_holds_none(line) -> None:
    assert not holds_secret(line)
