"""The process that ends machines in time: one for each provider as it is configured, and its key.

A keeper has the environment in which it was started. Where that has another key now, or another
provider is used, a further keeper runs beside it. A keeper writes down when it listed its
provider's machines last, for other computers with the same home as well: before that, nobody knows
whether it can.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

from trimtab.compute.cloud.ledger import Ledger, Record
from trimtab.compute.cloud.providers.base import Provider
from trimtab.compute.cloud.reaper import Reaper
from trimtab.compute.cloud.settings import fingerprint
from trimtab.core.errors import StoreError
from trimtab.core.files import read_bytes, replace_file
from trimtab.core.locks import locked

_LEAST_PAUSE_S = 20.0
_LATELY_S = 900.0


def next_look(records: Sequence[Record], now: float, pause: float) -> float | None:
    """Return in how many seconds to look again: at the next deadline at the latest.

    What is open after its deadline could not be ended yet, and is looked at soon. None: nothing may
    be there. What ended lately counts, as a wrong list may have hidden it.

    Args:
        records: The machines.
        now: The time.
        pause: The longest pause, in seconds.
    """
    left = [each.deadline - now for each in records if each.ended is None]
    if not left and all((each.ended or now) < now - _LATELY_S for each in records):
        return None
    return max(_LEAST_PAUSE_S, min([pause, *left]))


class Keeper:
    """The keeper of one provider."""

    def __init__(self, ledger: Ledger, config: dict[str, Any], provider: Provider[Any]) -> None:
        """Start nothing yet.

        Args:
            ledger: The ledger.
            config: The provider's name and configuration.
            provider: The same, built.

        Raises:
            ConfigError: The environment holds no key.
        """
        self._ledger, self._config, self._clock = ledger, config, provider.clock
        self._account = fingerprint(config, provider)
        name = f"keeper-{self._account}"
        self._lock, self._listing = ledger.folder / f"{name}.lock", ledger.folder / f"{name}.listed"
        self._listed: frozenset[str] = frozenset()

    def last_listing(self) -> float:
        """Return when one listed the machines with this key last; 0 if none ever did."""
        try:
            return float(read_bytes(self._listing))
        except (StoreError, ValueError):
            return 0.0

    def keep(self, reaper: Reaper, pause: float) -> None:
        """End what should not be there, again and again, until nothing may be there.

        Args:
            reaper: What ends machines.
            pause: The longest pause, in seconds.

        Raises:
            HeldError: Another process does so.
        """
        while True:
            with locked(self._lock, wait=False):
                self._keep(reaper, pause)
            # whoever ordered a machine meanwhile found the lock held, and relies on this process
            if self._next_look(pause) is None:
                return

    def _keep(self, reaper: Reaper, pause: float) -> None:
        wait: float | None = 0.0
        while wait is not None:
            self._clock.sleep(wait)
            try:
                reaper.reap_one(self._config, self._note)
            except Exception as error:  # whatever it is: as long as this lives, machines end
                reaper.tell(f"error: {type(error).__name__}: {error}")
            wait = self._next_look(pause)

    def _note(self, listed: Iterable[str]) -> None:
        self._listed = frozenset(listed)
        with suppress(StoreError):  # a full disk here keeps no machine alive
            replace_file(self._listing, f"{self._clock.now()}\n".encode())

    def _next_look(self, pause: float) -> float | None:
        # others with a keeper of their own would be waited for in vain, unless they are listed here
        records = [
            each
            for each in self._ledger.records()
            if each.is_of(self._config, self._account) or each.tag in self._listed
        ]
        return next_look(records, self._clock.now(), pause)
