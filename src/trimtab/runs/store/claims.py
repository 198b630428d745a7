"""Keeps two processes from the same part of a run.

A lease is a small file that names its holder. That a holder is dead is found out at once on its own
machine, and after ``ttl`` seconds without a heartbeat from another one; its lease is then taken
over with a higher epoch. The epoch is the fence: a holder that was only asleep sees that it lost.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from trimtab.core.errors import LeaseHeldError, StoreError
from trimtab.core.locks import locked
from trimtab.core.records import read_json, write_json
from trimtab.runs.store.create import file_stem

_log = logging.getLogger(__name__)


class Holder(BaseModel):
    """What a lease file says.

    Attributes:
        pid: Process id of the holder.
        host: Name of its machine.
        boot: What tells one boot of that machine from another, where the system has such a thing.
        namespace: In which process ids count (containers have their own).
        start: When the process began, in the kernel's ticks; tells it from a later one of that id.
        epoch: Counts the holders of this lease, from 1.
        since: When it was taken, seconds since the epoch of the clock.
        heartbeat: When the holder was last known to live, likewise.
        released: Whether the holder gave it back.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    pid: int
    host: str
    boot: str | None
    namespace: str | None
    start: int | None
    epoch: int
    since: float
    heartbeat: float
    released: bool = False

    def is_live(self, ttl: float) -> bool:
        """Return whether the holder may still be at work."""
        if self.released:
            return False
        if self.host == socket.gethostname():
            if self.boot != _boot():
                return False
            if self.namespace == _namespace():
                return _is_running(self.pid, self.start)
        return time.time() - self.heartbeat < ttl


class Lease:
    """Holds one part of a run while the ``with`` block runs.

    Raises:
        LeaseHeldError: On entry, if another holder may still be at work; from ``check``, if the
            lease was taken over.
        StoreError: The lease file can't be read or written.
    """

    def __init__(self, run_dir: Path, name: str, *, ttl: float = 120.0) -> None:
        """Name the part; ``ttl`` is in seconds and must be the same for all processes."""
        self.run_dir = run_dir
        self.name = name
        self.ttl = ttl
        self.path = run_dir / "leases" / f"{file_stem(name)}.json"
        self._mine: Holder | None = None
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def epoch(self) -> int:
        """How many holders this lease has had, this one included."""
        assert self._mine is not None, "the lease was not taken"
        return self._mine.epoch

    def __enter__(self) -> Lease:
        with self._locked():
            before = self._read()
            if before is not None and before.is_live(self.ttl):
                raise self._held(before)
            self._mine = _myself(1 if before is None else before.epoch + 1)
            write_json(self.path, self._mine)
        if before is not None and not before.released:
            _log.warning(
                "Took over %r of %s: process %d on %s ended without giving it back.",
                self.name,
                self.run_dir,
                before.pid,
                before.host,
            )
        self._stop.clear()
        self._thread = threading.Thread(target=self._beat, name=f"lease-{self.name}", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        # A lease that can't be given back (full disk) is taken over once this process is gone.
        with contextlib.suppress(StoreError):
            self._update(released=True)

    def check(self) -> None:
        """Raise LeaseHeldError if another process took the lease over; cheap, no lock."""
        now = self._read()
        if now is None:
            raise LeaseHeldError(
                f"The lease {self.path} is gone.",
                hint="Somebody removed it or the run; resume the run if it is still there.",
            )
        if now.epoch != self.epoch:
            raise self._held(now)

    def _beat(self) -> None:
        while not self._stop.wait(self.ttl / 4):
            try:
                if not self._update(released=False):
                    return
            except StoreError as error:
                _log.warning("The lease %r got no heartbeat: %s", self.name, error)

    def _update(self, *, released: bool) -> bool:
        """Write a heartbeat or the release; return False if the lease is no longer ours."""
        with self._locked():
            now = self._read()
            if now is None or now.epoch != self.epoch:
                return False
            change = {"heartbeat": time.time(), "released": released}
            write_json(self.path, now.model_copy(update=change))
            return True

    def _locked(self) -> contextlib.AbstractContextManager[None]:
        return locked(self.path.with_suffix(".lock"))

    def _read(self) -> Holder | None:
        if not self.path.exists():
            return None
        try:
            return Holder.model_validate(read_json(self.path))
        except ValidationError:
            raise StoreError(
                f"{self.path} is no lease of this version of trimtab.",
                hint="If no process works on this run, remove the file.",
            ) from None

    def _held(self, holder: Holder) -> LeaseHeldError:
        since = datetime.fromtimestamp(holder.since, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        return LeaseHeldError(
            f"The part {self.name!r} of {self.run_dir} is held by process {holder.pid} on "
            f"{holder.host} since {since}.",
            hint="Let it finish, or stop it and try again; the lease of a dead process is taken "
            f"over at once on its own machine, after {self.ttl:g} s from another one.",
        )


def _myself(epoch: int) -> Holder:
    now = time.time()
    return Holder(
        pid=os.getpid(),
        host=socket.gethostname(),
        boot=_boot(),
        namespace=_namespace(),
        start=_stat(os.getpid())[1],
        epoch=epoch,
        since=now,
        heartbeat=now,
    )


def _is_running(pid: int, start: int | None) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # it lives, and belongs to another user
    state, started = _stat(pid)
    return state not in ("Z", "X") and (None in (start, started) or start == started)


def _stat(pid: int) -> tuple[str | None, int | None]:
    """Return a process's state letter and its start in clock ticks after boot, None if unknown."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None, None
    # The name, in parentheses, may itself hold spaces and parentheses.
    fields = stat.rpartition(")")[2].split()
    return fields[0], int(fields[19])


def _boot() -> str | None:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return None


def _namespace() -> str | None:
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return None
