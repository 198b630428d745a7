"""Clients of servers on the loopback interface."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from loopback_api import Answer, loopback

from trimtab.clients.budget import Ledger
from trimtab.clients.http import HttpChat
from trimtab.core.spec import Endpoint

KEY = "sk-very-secret"


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., HttpChat]:
    """Return a maker of clients of an address, with a key."""
    monkeypatch.setenv("TRIMTAB_TEST_KEY", KEY)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")

    def make(url: str, **settings) -> HttpChat:
        endpoint = Endpoint(
            base_url=url,
            model="judge-1",
            api_key_env="TRIMTAB_TEST_KEY",
            **{"price": "free", "max_retries": 2, **settings},
        )
        return HttpChat(endpoint, Ledger(tmp_path / "spend.jsonl"))

    return make


@pytest.fixture
def serve(client: Callable[..., HttpChat]) -> Iterator[Callable[..., tuple[HttpChat, list]]]:
    """Return a maker of a client and the list of requests its server has seen."""
    with ExitStack() as servers:

        def start(respond: Callable[[str, int], Answer], **settings) -> tuple[HttpChat, list]:
            url, seen = servers.enter_context(loopback(respond))
            return client(url, **settings), seen

        yield start
