"""One request to an API: money set aside first, a finite number of tries, the reply kept."""

from __future__ import annotations

import logging
import random
import threading
from dataclasses import dataclass, field
from typing import Any

from trimtab.clients import _replies
from trimtab.clients._line import Answer, Line, NoAnswer
from trimtab.clients._replies import Body, Read
from trimtab.clients._told import (
    LONGEST_DELAY_S,
    TryAgain,
    error_in,
    one_line,
    refusal,
    retry_after,
)
from trimtab.clients.budget import Ledger, Reply, cost
from trimtab.core.errors import UnansweredError
from trimtab.core.keys import content_key
from trimtab.core.spec import Endpoint, Price

_log = logging.getLogger(__name__)

_FIRST_DELAY_S = 0.5
# Tokens that a server's own template may put around a message, and before the reply.
_TOKENS_PER_MESSAGE, _TOKENS_PER_PROMPT = 32, 64
_MOST_TOKENS, _MOST_DOLLARS = 10**9, 1e6  # what no single reply has; more is no count

_FREE = Price(input=0.0, output=0.0)


@dataclass(frozen=True)
class Ask:
    """One request.

    Attributes:
        path: Below the endpoint's address.
        content: What is sent beside the model and the settings: ``messages`` or ``prompt``.
        settings: Sampling and the like; ``max_tokens`` is among them.
        read: Takes the value out of the reply; raises Malformed for what is no reply.
    """

    path: str
    content: Body
    settings: Body
    read: Read


class Stopped(Exception):
    """The work has ended before this prompt had a reply."""


@dataclass
class _Bill:
    """What a reservation is settled with; until more is known, the reservation stands."""

    nanodollars: int | None = None
    basis: str = "no reply was read: the reservation"
    reply: Reply | None = None


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

    def key(self, ask: Ask) -> str:
        """Return what tells a request from every other one."""
        about = [self.endpoint.base_url, self.endpoint.model, ask.content, ask.settings]
        return content_key(about, 32)

    def reply(self, ask: Ask, line: Line) -> Reply:
        """Return what the endpoint says over ``line``; the ledger has no reply to it yet.

        Raises:
            UnansweredError: No try is left; another prompt may be answered.
            PromptRefused: The endpoint rejects this prompt, and perhaps every one.
            JudgeError: A cap is reached, or the endpoint rejects every prompt.
            Stopped: ``stop`` was set.
        """
        for attempt in range(self.endpoint.max_retries + 1):
            if self.stop.is_set():
                raise Stopped
            try:
                return self._try(ask, line)
            except TryAgain as again:
                last, delay = again, again.delay_s
            if attempt < self.endpoint.max_retries:
                self.stop.wait(_backoff(attempt) if delay is None else delay)
        raise UnansweredError(f"{self.endpoint.identity} {last}.") from None

    def _try(self, ask: Ask, line: Line) -> Reply:
        price = _FREE if self.endpoint.price == "free" else self.endpoint.price
        worst = cost(price, _most_tokens(ask.content), int(ask.settings["max_tokens"]))
        request = self.key(ask)
        mark = self.ledger.reserve(self.account, worst, request)
        bill = _Bill()
        try:
            try:
                return self._send(ask, line, bill, price)
            finally:  # whatever happened while the reply was read
                self.ledger.settle(
                    mark, bill.nanodollars, basis=bill.basis, request=request, reply=bill.reply
                )
        finally:
            self.ledger.leave(mark)
            if bill.nanodollars is not None and bill.nanodollars > worst:
                _log.warning(
                    "%s billed more than its worst case was thought to be", self.endpoint.identity
                )

    def _send(self, ask: Ask, line: Line, bill: _Bill, price: Price) -> Reply:
        body = {"model": self.endpoint.model, **ask.content, **ask.settings}
        try:
            answer = line.post(ask.path, body)
        except NoAnswer as error:
            # Only a connection that was never made is certain not to be billed.
            bill.nanodollars = 0 if error.unbilled else None
            bill.basis = "no connection" if error.unbilled else "no whole reply: the reservation"
            raise TryAgain(one_line(str(error))) from None
        if 200 <= answer.status < 300:
            try:
                return self._read(ask, answer, bill, price)
            except _replies.Malformed as error:
                delay = retry_after(answer.headers)
                wait = None if delay is None else min(delay, LONGEST_DELAY_S)
                raise TryAgain(one_line(str(error)), wait) from None
        self._refuse(_body_of(answer), answer, bill)
        raise AssertionError("a status that is no success is an error")

    def _read(self, ask: Ask, answer: Answer, bill: _Bill, price: Price) -> Reply:
        bill.basis = "malformed reply: the reservation"
        body = _replies.parse(answer.content)
        bill.nanodollars, bill.basis = _paid(body, price)
        self._refuse(body, answer, bill)
        try:
            reply = ask.read(body)
        except _replies.READING_ERRORS as error:
            _log.warning("%s left out a part of its reply: %r", self.endpoint.identity, error)
            reply = Reply(None)
        bill.reply = reply
        return reply

    def _refuse(self, body: Any, answer: Answer, bill: _Bill) -> None:
        """Raise what follows from an error that a server tells of, if it does."""
        told = error_in(body, answer.status)
        if told is None:
            return
        if bill.nanodollars is None:
            # A server that broke down may have billed what it did before; a refusal is not billed.
            broke = told.status >= 500 or told.status == 408
            bill.nanodollars, bill.basis = None if broke else 0, f"status {told.status}"
        raise refusal(told, answer.headers, self.endpoint)


def _body_of(answer: Answer) -> Any:
    """Return the body of an error, and one that says nothing for what is no error of an API."""
    try:
        body = _replies.parse(answer.content)
    except _replies.Malformed:
        body = None
    return body if error_in(body, answer.status) else {"error": {"status": answer.status}}


def _most_tokens(content: Body) -> int:
    """Return an upper bound of a prompt's tokens: none is shorter than a byte."""
    if "prompt" in content:
        return _num_bytes(str(content["prompt"])) + _TOKENS_PER_PROMPT
    turns = content["messages"]
    size = sum(_num_bytes(turn["content"]) + _TOKENS_PER_MESSAGE for turn in turns)
    return size + _TOKENS_PER_PROMPT


def _num_bytes(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


def _paid(body: Any, price: Price) -> tuple[int | None, str]:
    """Return what the provider says it cost, else what its token counts cost; None if neither."""
    usage = body.get("usage") if isinstance(body, dict) else None
    if not isinstance(usage, dict):
        return None, "no usage: the reservation"
    billed: Any = usage.get("cost")
    if _is_number(billed, int | float) and 0 <= billed < _MOST_DOLLARS:
        return cost(Price(input=billed * 1e6, output=0), 1, 0), "the provider's cost"
    counts: list[Any] = [usage.get(name) for name in ("prompt_tokens", "completion_tokens")]
    if all(_is_number(count, int) and 0 <= count < _MOST_TOKENS for count in counts):
        return cost(price, counts[0], counts[1]), "the provider's token counts"
    return None, "no usage: the reservation"


def _is_number(value: Any, kind: Any) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)


def _backoff(attempt: int) -> float:
    # No power of a large number: there may be thousands of tries.
    grown = min(_FIRST_DELAY_S * 2.0 ** min(attempt, 10), LONGEST_DELAY_S)
    return grown * random.uniform(0.5, 1.0)
