"""One request to an API: money set aside first, a finite number of tries, the reply kept."""

from __future__ import annotations

import email.utils
import json
import logging
import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from trimtab.clients.budget import Ledger, Reply, cost
from trimtab.core.errors import JudgeError
from trimtab.core.keys import content_key
from trimtab.core.lazy import lazy
from trimtab.core.spec import Endpoint, Price

# Typed loosely: the SDK is optional, and a compatible server may leave out what its types promise.
openai: Any = lazy("openai")

_log = logging.getLogger(__name__)

_FIRST_DELAY_S, _LONGEST_DELAY_S = 0.5, 60.0
_AGAIN = (408, 409, 429)
# Tokens that a server's own template may put around a message, and before the reply.
_TOKENS_PER_MESSAGE, _TOKENS_PER_PROMPT = 32, 64

Body = dict[str, Any]
Read = Callable[[Body], str | float | None]
_FREE = Price(input=0.0, output=0.0)


@dataclass(frozen=True)
class Ask:
    """One request.

    Attributes:
        create: The SDK's method for it, in its raw form.
        content: What is sent beside the model and the settings: ``messages`` or ``prompt``.
        settings: Sampling and the like; ``max_tokens`` is among them.
        read: Takes the value out of the reply; may raise what a malformed reply makes it raise.
    """

    create: Callable[..., Any]
    content: Body
    settings: Body
    read: Read


class _TryAgain(Exception):
    """A try failed in a way that may pass."""

    def __init__(self, error: JudgeError | None, delay_s: float | None = None) -> None:
        """Keep what to raise when no try is left (None: the prompt has no reply) and the wait."""
        super().__init__(error)
        self.error, self.delay_s = error, delay_s


@dataclass
class Caller:
    """Sends requests to one endpoint on one account of a ledger; several threads may share it.

    Attributes:
        endpoint: Address, model and price.
        ledger: Where money is set aside and replies are kept.
        account: Whose money; a judge's key.
        stop: Set when the batch has failed, so that no thread waits for another try.
    """

    endpoint: Endpoint
    ledger: Ledger
    account: str
    stop: threading.Event = field(default_factory=threading.Event)

    @property
    def identity(self) -> str:
        """``api:<model>@<base_url>``."""
        return f"api:{self.endpoint.model}@{self.endpoint.base_url}"

    def key(self, ask: Ask) -> str:
        """Return what tells a request from every other one."""
        about = [self.endpoint.base_url, self.endpoint.model, ask.content, ask.settings]
        return content_key(about, 32)

    def value(self, ask: Ask) -> str | float | None:
        """Return what the endpoint says; None where it rejects the prompt or says nothing.

        Raises:
            JudgeError: A cap is reached, the key is refused, or no try is left.
        """
        request = self.key(ask)
        known = self.ledger.reply(request)
        if known is not None:
            return known.value
        for attempt in range(self.endpoint.max_retries + 1):
            try:
                return self._try(ask, request)
            except _TryAgain as again:
                last = again.error
                delay = again.delay_s if again.delay_s is not None else _backoff(attempt)
            if attempt < self.endpoint.max_retries and self.stop.wait(delay):
                raise JudgeError(f"{self.identity}: given up, because another prompt failed.")
        if last is not None:
            raise last
        return None

    def _try(self, ask: Ask, request: str) -> str | float | None:
        price = _FREE if self.endpoint.price == "free" else self.endpoint.price
        num_output = int(ask.settings["max_tokens"])
        worst = cost(price, _most_tokens(ask.content), num_output)
        mark = self.ledger.reserve(self.account, worst, request)
        try:
            return self._send(ask, request, mark, price, worst)
        finally:
            self.ledger.leave(mark)

    def _send(
        self, ask: Ask, request: str, mark: str, price: Price, worst: int
    ) -> str | float | None:
        try:
            raw = ask.create(model=self.endpoint.model, **ask.content, **ask.settings)
        except openai.APIStatusError as error:
            self._refused(mark, error)
            return None
        except openai.APIConnectionError as error:
            # Only a connection that was never made is certain not to be billed.
            unmade = type(error.__cause__).__name__ in ("ConnectError", "ConnectTimeout")
            self.ledger.settle(mark, 0 if unmade else None, basis="no connection or no reply")
            raise _TryAgain(
                JudgeError(
                    f"{self.identity} can't be reached: {error.__cause__ or error}.",
                    hint="Check base_url and the network.",
                )
            ) from error
        try:
            body = json.loads(raw.content)
            if not isinstance(body, dict):
                raise ValueError(f"a {type(body).__name__} in place of an object")
        except ValueError as error:
            self.ledger.settle(mark, None, basis="malformed reply: the reservation")
            _log.warning("%s sent a malformed reply: %s", self.identity, error)
            raise _TryAgain(None) from error
        value = self._read(ask, body)
        paid, basis = _paid(body, price)
        self.ledger.settle(mark, paid, basis=basis, request=request, reply=Reply(value))
        if paid is not None and paid > worst:
            _log.warning("%s billed more than its worst case was thought to be", self.identity)
        return value

    def _read(self, ask: Ask, body: Body) -> str | float | None:
        try:
            return ask.read(body)
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            _log.warning("%s left out a part of its reply: %r", self.identity, error)
            return None

    def _refused(self, mark: str, error: Any) -> None:
        status = int(error.status_code)
        # A server that broke down may have billed what it did before; a refusal is not billed.
        broke = status >= 500 or status == 408
        self.ledger.settle(mark, None if broke else 0, basis=f"status {status}")
        if status in (400, 422):
            _log.warning("%s rejected a prompt: %s", self.identity, error)
            return
        failure = JudgeError(
            f"{self.identity} answered with status {status}.", hint=_hint(status, self.endpoint)
        )
        if status < 500 and status not in _AGAIN:
            raise failure from error
        delay = _retry_after(error.response.headers)
        if delay is not None and delay > _LONGEST_DELAY_S:
            raise JudgeError(
                f"{self.identity} answered with status {status} and asks to wait {delay:.0f} s.",
                hint="Score again after that time; nothing that was paid for is lost.",
            ) from error
        raise _TryAgain(failure, delay) from error


def _most_tokens(content: Body) -> int:
    """Return an upper bound of a prompt's tokens: none is shorter than a byte."""
    if "prompt" in content:
        return len(str(content["prompt"]).encode()) + _TOKENS_PER_PROMPT
    turns = content["messages"]
    size = sum(len(turn["content"].encode()) + _TOKENS_PER_MESSAGE for turn in turns)
    return size + _TOKENS_PER_PROMPT


def _paid(body: Body, price: Price) -> tuple[int | None, str]:
    """Return what the provider says it cost, else what its token counts cost; None if neither."""
    usage = body.get("usage")
    if not isinstance(usage, dict):
        return None, "no usage: the reservation"
    billed = usage.get("cost")
    if isinstance(billed, int | float) and not isinstance(billed, bool) and 0 <= billed < 1e6:
        return cost(Price(input=billed * 1e6, output=0), 1, 0), "the provider's cost"
    counts = [usage.get(name) for name in ("prompt_tokens", "completion_tokens")]
    if all(isinstance(count, int) and count >= 0 for count in counts):
        return cost(price, counts[0] or 0, counts[1] or 0), "the provider's token counts"
    return None, "no usage: the reservation"


def _backoff(attempt: int) -> float:
    grown = min(_FIRST_DELAY_S * 2.0**attempt, _LONGEST_DELAY_S)
    return grown * random.uniform(0.5, 1.0)


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds to wait that a server names, as a number or a date; None if neither."""
    text = headers.get("retry-after")
    if text is None:
        return None
    try:
        return max(0.0, float(text))
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time())
    except ValueError:
        return None


def _hint(status: int, endpoint: Endpoint) -> str:
    if status in (401, 403):
        return f"Check the key in the environment variable {endpoint.api_key_env}."
    if status == 402:
        return "The account there has no money left."
    if status == 404:
        return f"Check base_url and whether the model {endpoint.model!r} is served there."
    return "It was tried again as often as allowed; score again later."
