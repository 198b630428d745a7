"""Keeps two workers from the same unit of work, on network file systems too.

A claim is a file ``claims/<unit>.<epoch>.json`` that names its holder and that one worker alone can
make. That a holder is dead is found out at once on its own machine, and after ``ttl`` seconds
without a heartbeat from another one; the unit is then claimed with the next epoch. The epoch is the
fence: a holder that was only asleep sees the next one and writes nothing more. Nothing is locked,
and ages are read off the file system's own clock, so clocks of machines need not agree.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from trimtab.core.errors import HeldError, StoreError
from trimtab.core.files import make_dir
from trimtab.core.records import create_json, read_json, write_json
from trimtab.runs.store.create import file_stem
from trimtab.runs.store.processes import Process

CLAIMS = "claims"
TTL_S = 120.0
_log = logging.getLogger(__name__)


class Holder(BaseModel):
    """What a claim file says.

    Attributes:
        process: Who holds it.
        epoch: Counts the holders of this unit, from 1.
        since: When it was claimed, in seconds since the epoch of the holder's clock.
        released: Whether the holder gave it back.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    process: Process
    epoch: int
    since: float
    released: bool = False


class Claim:
    """One unit that this process holds; made by ``claim``."""

    def __init__(self, folder: Path, unit: str, epoch: int, ttl: float) -> None:
        """Take what was written to the claim file."""
        self.unit, self.epoch = unit, epoch
        self._folder, self._ttl = folder, ttl
        self._path = _file(folder, unit, epoch)
        self._next = _file(folder, unit, epoch + 1)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, name=f"claim-{unit}", daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Raise HeldError if another worker took the unit over; costs one look at a file's name."""
        if self._next.exists():
            holder = _read(self._next)
            raise HeldError(
                f"{self.unit!r} was taken over by {_told(holder)}: this process gave no sign of "
                f"life for {self._ttl:g} s.",
                hint="What it wrote before counts; the other process goes on.",
            )
        if not self._path.exists():
            raise HeldError(
                f"The claim {self._path} is gone.",
                hint="Somebody removed it or the run; resume the run if it is still there.",
            )

    def release(self) -> None:
        """Give the unit back; one that can't be given back (full disk) is taken over in time."""
        self._stop.set()
        self._thread.join()
        with contextlib.suppress(StoreError):
            holder = _read(self._path)
            if holder is not None and not self._next.exists():
                write_json(self._path, holder.model_copy(update={"released": True}))

    def _beat(self) -> None:
        while not self._stop.wait(self._ttl / 4):
            try:
                os.utime(self._path)  # the file system's clock, not ours
            except OSError as error:
                _log.warning("The claim %r got no heartbeat: %s", self.unit, error)


@contextmanager
def claim(run_dir: Path, unit: str, *, ttl: float = TTL_S) -> Iterator[Claim | None]:
    """Hold ``unit`` while the block runs; None if another worker holds it.

    Args:
        run_dir: The run.
        unit: What is claimed; names the file.
        ttl: Seconds without a heartbeat after which a holder on another machine counts as dead;
            must be the same for all workers.

    Raises:
        StoreError: The run directory can't be written.
    """
    mine = _take(run_dir / CLAIMS, file_stem(unit), ttl)
    try:
        yield mine
    finally:
        if mine is not None:
            mine.release()


def holder_of(run_dir: Path, unit: str, *, ttl: float = TTL_S) -> str | None:
    """Return who holds ``unit`` and since when, in a few words; None if nobody does."""
    folder = run_dir / CLAIMS
    epoch = _last_epoch(folder, file_stem(unit))
    if epoch == 0 or not _is_held(folder, file_stem(unit), epoch, ttl):
        return None
    return f"held by {_told(_read(_file(folder, file_stem(unit), epoch)))}"


def _take(folder: Path, unit: str, ttl: float) -> Claim | None:
    make_dir(folder)
    last = _last_epoch(folder, unit)
    if last and _is_held(folder, unit, last, ttl):
        return None
    before = _read(_file(folder, unit, last)) if last else None
    me = Process.current()
    holder = Holder(process=me, epoch=last + 1, since=datetime.now(UTC).timestamp())
    if not create_json(_file(folder, unit, last + 1), holder):
        return None
    if before is not None and not before.released:
        _log.warning("Took over %r: %s ended without giving it back.", unit, _told(before))
    return Claim(folder, unit, last + 1, ttl)


def _is_held(folder: Path, unit: str, epoch: int, ttl: float) -> bool:
    """Return whether the holder of an epoch may still be at work."""
    path = _file(folder, unit, epoch)
    holder = _read(path)
    if holder is not None:
        if holder.released:
            return False
        alive = holder.process.is_alive()
        if alive is not None:
            return alive
    return _age(path) < ttl


def _age(path: Path) -> float:
    """Return the seconds since ``path`` was changed, both read off its file system's clock."""
    clock = path.with_name(f".clock-{secrets.token_hex(8)}")
    try:
        clock.touch()
        return clock.stat().st_mtime - path.stat().st_mtime
    except FileNotFoundError:
        return float("inf")
    except OSError as error:
        raise StoreError(f"{clock} can't be written: {error.strerror or error}.") from error
    finally:
        with contextlib.suppress(OSError):
            clock.unlink()


def _file(folder: Path, unit: str, epoch: int) -> Path:
    return folder / f"{unit}.{epoch:06d}.json"


def _last_epoch(folder: Path, unit: str) -> int:
    epoch = 0
    while _file(folder, unit, epoch + 1).exists():
        epoch += 1
    return epoch


def _read(path: Path) -> Holder | None:
    """Return what a claim file says; None if it is gone or says nothing that can be read."""
    try:
        return Holder.model_validate(read_json(path))
    except (StoreError, ValidationError):
        return None


def _told(holder: Holder | None) -> str:
    if holder is None:
        return "a process that can't be read"
    since = datetime.fromtimestamp(holder.since, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    return f"process {holder.process.pid} on {holder.process.host} since {since}"
