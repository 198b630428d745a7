"""What the commands of the cloud share: settings, ledger, and that a machine is in use."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trimtab.compute.cloud.keeper import Keeper
from trimtab.compute.cloud.ledger import Ledger, Record
from trimtab.compute.cloud.machine import SshReach
from trimtab.compute.cloud.providers.base import Provider
from trimtab.compute.cloud.settings import Settings, build, read_settings
from trimtab.core.errors import ConfigError, HeldError, StoreError
from trimtab.core.locks import locked

_BEAT_S = 30.0


@dataclass(frozen=True)
class Cloud:
    """What a command works with.

    Attributes:
        file: The settings' file, if it was named.
        settings: The settings.
        ledger: The ledger.
        reach: How machines are reached.
    """

    file: Path | None
    settings: Settings
    ledger: Ledger
    reach: SshReach

    @classmethod
    def read(cls, file: Path | None) -> Cloud:
        """Return it; raise ConfigError if there are no settings, or wrong ones."""
        settings, ledger = read_settings(file), Ledger()
        return cls(file, settings, ledger, SshReach(ledger, settings.machine))

    @property
    def provider(self) -> Provider[Any]:
        """The provider of the settings."""
        return build(self.settings.provider)

    @property
    def keeper(self) -> Keeper:
        """The keeper of this provider and its key; raise ConfigError if there is no key."""
        return Keeper(self.ledger, self.settings.provider, self.provider)

    @property
    def words(self) -> list[str]:
        """The options that name these settings in another command."""
        return [] if self.file is None else ["--settings", str(self.file.resolve())]

    def ready(self, name: str | None) -> Record:
        """Return a machine that can be used.

        Raises:
            ConfigError: There is none of that name, or it has ended.
            StoreError: It is not ready.
        """
        record = self.ledger.find(name)
        if record.ended is not None:
            raise ConfigError(f"{record.tag} has ended: {record.why}.")
        self.reach.host(record)
        return record


@contextmanager
def used(cloud: Cloud, record: Record) -> Iterator[None]:
    """Say, as long as the block lasts, that somebody uses a machine."""
    over = threading.Event()

    def note() -> None:
        with suppress(StoreError):  # a full disk here must not end what works there
            cloud.ledger.beat(record.tag, time.time())

    def beat() -> None:
        while not over.wait(_BEAT_S):
            note()

    note()
    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def is_being_ended(cloud: Cloud, record: Record) -> bool:
    """Return whether another process ends a machine, and may have this one fetch from it."""
    try:
        with locked(cloud.ledger.end_lock(record.tag), wait=False):
            return False
    except HeldError:
        return True
    except StoreError:  # a full disk here
        return False


def dollars(amount: float) -> str:
    """Return an amount as people write it."""
    return f"${amount:,.2f}"


def hours(amount: float) -> str:
    """Return a time as people write it."""
    minutes = max(0, round(60 * amount))
    return f"{minutes // 60} h {minutes % 60:02d} min" if minutes >= 60 else f"{minutes} min"
