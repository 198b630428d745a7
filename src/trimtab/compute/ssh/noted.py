"""What a run keeps of its copies on hosts: ``ssh/NAME.json`` beside each copy's mirror."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from trimtab.core.errors import StoreError
from trimtab.core.records import read_json, write_json

_FRESH_S = 600.0


class Noted(BaseModel):
    """What is known of one copy.

    Attributes:
        address: Its host.
        there: Its folder on the host.
        working: Whether workers were there when it was asked last.
        asked: When that was, seconds since the epoch by this machine's clock.
        fetched: When what it has was fetched last; None if it never was.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    address: str
    there: str
    working: bool = False
    asked: float = 0.0
    fetched: float | None = None

    @property
    def is_fresh(self) -> bool:
        """Whether it is known of the last minutes, as it is while somebody follows the workers."""
        return time.time() - self.asked < _FRESH_S

    def __str__(self) -> str:
        at_work = "workers were at work" if self.working else "no workers were there"
        fetched = "nothing fetched yet" if self.fetched is None else f"fetched {_ago(self.fetched)}"
        return f"{self.address}: {at_work} {_ago(self.asked)}, {fetched}; {self.there}"


def note(mirror: Path, address: str, there: str, **known: bool | float) -> None:
    """Write down what is known now; it is for people alone, so nothing fails where it can't be."""
    path = mirror.with_suffix(".json")
    before = _read(path)
    if before is None or (before.address, before.there) != (address, there):
        before = Noted(address=address, there=there)
    if mirror.parent.is_dir():
        with suppress(StoreError):
            write_json(path, before.model_copy(update=known))


def copies(run_dir: Path) -> list[Noted]:
    """Return what is known of the copies of a run."""
    paths = sorted((run_dir / "ssh").glob("????????.json"))
    return [noted for noted in map(_read, paths) if noted is not None]


def standing(run_dir: Path, owes: bool) -> list[str]:
    """Return a line for each host that was given a run, while something of it is owed."""
    return [f"host {noted}" for noted in copies(run_dir) if owes]


def _read(path: Path) -> Noted | None:
    try:
        return Noted.model_validate(read_json(path))
    except (StoreError, ValidationError):
        return None


def _ago(then: float) -> str:
    minutes = max(0.0, time.time() - then) / 60
    if minutes < 1:
        return "just now"
    return f"{minutes:.0f} min ago" if minutes < 120 else f"{minutes / 60:.0f} h ago"
