"""Calls of a provider's HTTP API: what was certainly refused is told from what may have happened.

Questions are asked again after overload, server errors and lost connections. An order is sent again
only where it is certain that it had no effect: nobody knows otherwise how many machines there are.
"""

from __future__ import annotations

import functools
import json
import os
import random
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from trimtab.compute.cloud.clock import Clock
from trimtab.compute.cloud.errors import RefusedError, UnansweredError, UncertainError
from trimtab.core import secrets
from trimtab.core.errors import ConfigError
from trimtab.core.lazy import lazy

if TYPE_CHECKING:
    import httpx2
else:
    httpx2 = lazy("httpx2")

_TRIES = 6
_FIRST_WAIT_S, _MOST_WAIT_S = 1.0, 30.0
_LONGEST_REASON = 200
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class _Again(Exception):
    """A call failed in a way that may pass.

    Attributes:
        wait_s: What the server asks to wait, in seconds; None if it does not say.
        unheard: Whether it is certain that nothing was done.
    """

    def __init__(self, what: str, wait_s: float | None = None, *, unheard: bool) -> None:
        """Say what happened, as the rest of a sentence about the server."""
        super().__init__(what)
        self.wait_s, self.unheard = wait_s, unheard


def key_of(variable: str) -> str:
    """Return the key that an environment variable holds, remembered as a secret.

    Raises:
        ConfigError: It is not set, or holds no key.
    """
    key = os.environ.get(variable, "").strip()
    secrets.remember(key)
    if not key or any(not "!" <= char <= "~" for char in key):
        raise ConfigError(
            f"The environment variable {variable} holds no key for the cloud.",
            hint="Set it; a key is read from there alone, and never written.",
        )
    return key


class Api:
    """One address; a connection is made anew for each call."""

    def __init__(self, base_url: str, key_variable: str, timeout_s: float, clock: Clock) -> None:
        """Reach nothing yet.

        Args:
            base_url: Address that paths are added to.
            key_variable: Environment variable that holds the key.
            timeout_s: Longest wait for an answer, in seconds.
            clock: Time.

        Raises:
            ConfigError: The key would go over a network in the clear, or the address, which the
                ledger repeats, holds a password.
        """
        parts = urlsplit(base_url)
        if "@" in parts.netloc:
            raise ConfigError(
                "base_url must hold no user name and no password.",
                hint="A key is read from the environment variable that key_env names.",
            )
        if parts.scheme != "https" and parts.hostname not in _LOOPBACK:
            raise ConfigError(f"base_url = {base_url!r}: the key would be sent without TLS.")
        self._base_url, self._key_variable = base_url.rstrip("/"), key_variable
        self._timeout_s, self._clock = timeout_s, clock

    def ask(self, path: str) -> Any:
        """Return the data at a path.

        Raises:
            ConfigError: The server refuses the key.
            UnansweredError: It gives no answer, or refuses one.
        """
        for attempt in range(_TRIES):
            try:
                return self._send("GET", path, None)
            except RefusedError as error:
                raise UnansweredError(error.message) from None
            except _Again as again:
                last = again
                if attempt < _TRIES - 1:
                    self._wait(attempt, again)
        raise UnansweredError(
            f"{self._base_url} {last}, {_TRIES} times.", hint="Try again later."
        ) from None

    def order(self, path: str, body: Mapping[str, Any]) -> Any:
        """Send an order, and return the data that comes back.

        Raises:
            RefusedError: The server certainly did not do it.
            ConfigError: It refuses the key.
            UncertainError: It may have done it.
        """
        for attempt in range(_TRIES):
            try:
                return self._send("POST", path, body)
            except _Again as again:
                last = again
                if not again.unheard:
                    raise UncertainError(f"{self._base_url} {again}.") from None
                if attempt < _TRIES - 1:
                    self._wait(attempt, again)
        raise RefusedError(
            f"{self._base_url} {last}, {_TRIES} times.", hint="Try again later."
        ) from None

    def _wait(self, attempt: int, again: _Again) -> None:
        wait = min(_FIRST_WAIT_S * 2**attempt, _MOST_WAIT_S) * random.uniform(0.5, 1.0)
        self._clock.sleep(wait if again.wait_s is None else min(again.wait_s, _MOST_WAIT_S))

    def _send(self, method: str, path: str, body: Mapping[str, Any] | None) -> Any:
        headers = {"Authorization": f"Bearer {key_of(self._key_variable)}"}
        try:
            with httpx2.Client(
                headers=headers, timeout=self._timeout_s, verify=_certificates()
            ) as client:
                reply = client.request(method, self._base_url + path, json=body)
        except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
            raise _Again(f"can't be reached: {error}", unheard=True) from None
        except (httpx2.InvalidURL, httpx2.UnsupportedProtocol) as error:
            raise ConfigError(f"Nothing can be sent to base_url: {error}.") from None
        except (httpx2.HTTPError, OSError) as error:
            raise _Again(f"gave no answer ({type(error).__name__})", unheard=False) from None
        return self._data(reply)

    def _data(self, reply: httpx2.Response) -> Any:
        try:
            said = reply.json()
        except (json.JSONDecodeError, UnicodeDecodeError):
            said = None
        error = said.get("error") if isinstance(said, dict) else None
        about = error if isinstance(error, dict) else {}
        words = ": ".join(str(about[each]) for each in ("code", "message") if about.get(each))
        reason = secrets.redact(" ".join(words.split()))[:_LONGEST_REASON]
        what = f"answered with status {reply.status_code}{f': {reason}' if reason else ''}"
        if reply.status_code == 429:
            raise _Again(what, _seconds(reply.headers.get("retry-after")), unheard=True)
        if reply.status_code == 408 or reply.status_code >= 500:
            raise _Again(what, _seconds(reply.headers.get("retry-after")), unheard=False)
        if reply.status_code in (401, 403):
            raise ConfigError(
                f"{self._base_url} {what}.",
                hint=f"Check the key in the environment variable {self._key_variable}.",
            )
        if not reply.is_success:
            raise RefusedError(f"{self._base_url} {what}.")
        if not isinstance(said, dict) or "data" not in said:
            raise _Again("sent something else than data", unheard=False)
        return said["data"]


@functools.cache
def _certificates() -> Any:
    return httpx2.create_ssl_context()


def _seconds(text: str | None) -> float | None:
    try:
        return None if text is None else max(0.0, float(text))
    except ValueError:  # a date; the usual wait will do
        return None
