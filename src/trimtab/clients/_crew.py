"""Threads that ask an API, each over a connection of its own, and end when they are told to."""

from __future__ import annotations

import itertools
import queue
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress

from trimtab.clients._line import Line
from trimtab.clients._paid import Ask, Caller, Stopped
from trimtab.clients._told import PromptRefused
from trimtab.clients.budget import Reply
from trimtab.core.errors import UnansweredError

_GRACE_S = 1.0
_CUT_S = 0.5

Outcome = Reply | Exception


class Crew:
    """Asks in the order of the prompts; what comes of each is told as it comes.

    The threads are daemons: one that the system holds (a name that is looked up) ends no later
    than the program. A request of such a one stays reserved in the ledger.
    """

    def __init__(self, caller: Caller, asks: Sequence[Ask], key: str | None) -> None:
        """Start to ask."""
        self._caller, self._asks, self._key = caller, asks, key
        self._numbers = itertools.count()
        self._done: queue.SimpleQueue[tuple[int, Outcome] | None] = queue.SimpleQueue()
        self._lines: list[Line] = []
        count = min(caller.endpoint.num_parallel, len(asks))
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(count)]
        for thread in self._threads:
            thread.start()

    def outcomes(self) -> Iterator[tuple[int, Outcome]]:
        """Yield a prompt's number with its reply, or with what was raised in its place."""
        for _ in self._threads:
            while (found := self._done.get()) is not None:
                yield found

    def stop(self) -> None:
        """Send nothing more; what is under way is still told."""
        self._caller.stop.set()

    def end(self) -> None:
        """Stop, give what is under way a moment to arrive, and cut the rest off."""
        self.stop()
        self._join(_GRACE_S)
        for line in list(self._lines):
            line.cut()
        self._join(_CUT_S)

    def _join(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))

    def _work(self) -> None:
        endpoint = self._caller.endpoint
        try:
            line = Line(endpoint.base_url, self._key, endpoint.timeout_s)
            self._lines.append(line)
            try:
                while (number := next(self._numbers)) < len(self._asks):
                    with suppress(Stopped):
                        self._done.put((number, self._outcome(number, line)))
                    if self._caller.stop.is_set():
                        break
            finally:
                line.close()
        finally:
            self._done.put(None)

    def _outcome(self, number: int, line: Line) -> Outcome:
        try:
            return self._caller.reply(self._asks[number], line)
        except Stopped:
            raise
        except (PromptRefused, UnansweredError) as error:
            return error
        except Exception as error:  # ends the batch; raised again where the outcomes are read
            self.stop()
            return error
