"""The process that ends machines in time: one for each provider as it is configured, and its key.

A keeper has the environment in which it was started. Where that has another key now, or another
provider is used, a further keeper runs beside it. A keeper counts as there when it has listed its
provider's machines: before that, nobody knows whether it can.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from pydantic import ValidationError

from trimtab.compute.cloud.ledger import Ledger, Record
from trimtab.compute.cloud.providers.base import Provider
from trimtab.compute.cloud.reaper import Reaper
from trimtab.core.errors import StoreError
from trimtab.core.files import read_bytes, replace_file
from trimtab.core.locks import locked
from trimtab.runs.store.processes import Process

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
        said = json.dumps([config, provider.key()], sort_keys=True)
        name = f"keeper-{hashlib.sha256(said.encode()).hexdigest()[:16]}"
        self._lock, self._process = ledger.folder / f"{name}.lock", ledger.folder / f"{name}.json"

    def is_there(self) -> bool:
        """Return whether one lives that has listed the machines with this key."""
        try:
            process = Process.model_validate_json(read_bytes(self._process))
        except (StoreError, ValidationError):
            return False
        return process.is_alive() is True

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

    def _note(self) -> None:
        with suppress(StoreError):  # a full disk here keeps no machine alive
            replace_file(self._process, Process.current().model_dump_json().encode())

    def _next_look(self, pause: float) -> float | None:
        # other configurations of a provider may be of the same account
        name = self._config["name"]
        records = [each for each in self._ledger.records() if each.provider["name"] == name]
        return next_look(records, self._clock.now(), pause)
