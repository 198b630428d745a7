"""Claims keep workers, on one machine or many, from the same unit of work.

The claims of a unit are files ``claims/<unit>/0001.jsonl``, ``0002.jsonl``, ..., one for each
holder it has had; the number is the epoch. A file is made exclusively, which decides every race on
every file system, NFS among them; none is ever removed or written again under its name, so a late
taker can't take an epoch twice. Its first line names the holder, and a second line ends the claim:
the holder gave it back, or another took it over. A holder touches its file now and then; that it is
dead is known at once on its own machine until that is started again, and elsewhere when the file
has not been touched for the time to live. Both times are the file system's: where a server gives
them, clocks of machines are not compared. Where the machine that touches a file does, as on some
parallel file systems, clocks must agree within a minute.

A holder that slept and lost its claim finds the second line when it asks, before each append. What
it may have written in between does no harm: each worker writes files of its own, and rows of equal
keys are equal.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from trimtab.core.errors import HeldError, StoreError
from trimtab.core.file_clock import touch
from trimtab.core.files import write_all
from trimtab.runs.store.create import file_stem
from trimtab.runs.store.processes import Process, scheduled_job

TTL_S = 120.0
"""How long a claim stands without a heartbeat; must be the same for all workers of a run."""

_NAMELESS_S = 10.0
"""How long one stands that names nobody: its holder died between making and writing the file."""

_MOST_BYTES = 65536
_BEATS_PER_TTL = 4
_RELEASED = b'{"released":true}\n'
_TAKEN = b'{"taken_over":true}\n'

_log = logging.getLogger(__name__)


class Holder(BaseModel):
    """The first line of a claim file.

    Attributes:
        process: Who holds it.
        since: When it was claimed, seconds since the epoch by the holder's clock, for people.
        job: The SLURM job that the process belongs to, if any.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    process: Process
    since: float
    job: str | None = None

    def __str__(self) -> str:
        try:
            since = datetime.fromtimestamp(self.since, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        except (ValueError, OverflowError, OSError):  # no time at all: a damaged file
            since = "a time that can't be read"
        job = "" if self.job is None else f" (SLURM job {self.job})"
        return f"process {self.process.pid} on {self.process.host}{job} since {since}"


class Claim:
    """One unit of work, held by this process until ``claim`` ends.

    Attributes:
        unit: Its name.
        epoch: How many holders the unit has had, this one included.
        path: The file.
    """

    def __init__(self, unit: str, epoch: int, path: Path, line: bytes) -> None:
        """Take what ``claim`` made, with the line that it wrote to the file."""
        self.unit = unit
        self.epoch = epoch
        self.path = path
        self._line = line

    def check(self) -> None:
        """Raise HeldError if another worker took the unit over; to be asked at each append.

        Opening the file makes NFS ask the server, where looking for a newer one would not.

        Raises:
            HeldError: The claim was taken over, or somebody removed it.
            StoreError: It can't be read.
        """
        data = _read(self.path)
        if data == self._line and not _path(self.path.parent, self.epoch + 1).exists():
            return
        if data is None:
            raise HeldError(
                f"The claim {self.path} is gone.",
                hint="Somebody removed it or the run; resume the run if it is still there.",
            )
        holder = holder_of(self.path.parents[2], self.unit)
        raise HeldError(
            f"{self.unit} was taken over, because this process gave no sign of life for too long; "
            f"it is {holder or 'done, or free again'}.",
            hint="What it wrote before counts; nothing is lost.",
        )


@contextmanager
def claim(run_dir: Path, unit: str, *, ttl: float = TTL_S) -> Iterator[Claim | None]:
    """Hold a unit of work while the ``with`` block runs; give None where another worker holds it.

    Args:
        run_dir: The run.
        unit: Name of the unit; it becomes the name of a folder.
        ttl: Seconds without a heartbeat after which others may take it over.

    Raises:
        StoreError: The run directory can't be read or written.
    """
    folder = run_dir / "claims" / file_stem(unit)
    mine = _take(folder, unit, ttl)
    if mine is None:
        yield None
        return
    end = threading.Event()
    heart = threading.Thread(
        target=_beat, args=(mine.path, ttl, end), name=f"claim-{unit}", daemon=True
    )
    heart.start()
    try:
        yield mine
    finally:
        end.set()
        heart.join()
        # One that can't be given back (full disk) expires.
        with suppress(OSError):
            _append(mine.path, _RELEASED)


def holder_of(run_dir: Path, unit: str, *, ttl: float = TTL_S) -> str | None:
    """Return who holds a unit and since when, in one line; None if it can be had."""
    folder = run_dir / "claims" / file_stem(unit)
    epoch = _newest(folder)
    if epoch == 0:
        return None
    last = _State.read(_path(folder, epoch))
    try:
        stands = last.stands(folder.parent, ttl)
    except OSError:  # on a disk that can't be written nothing tells how late it is
        stands = True
    if not stands:
        return None
    return f"held by {last.holder or f'a process that {_path(folder, epoch)} does not name'}"


def num_holders(run_dir: Path, unit: str) -> int:
    """Return how many workers have begun a unit, the one that holds it now included."""
    return _newest(run_dir / "claims" / file_stem(unit))


@dataclass(frozen=True)
class _State:
    """What a claim file says.

    Attributes:
        holder: Whose it is; None if it does not say.
        ended: Whether it was given back or taken over.
        touched: Its heartbeat, seconds of the file system's clock.
    """

    holder: Holder | None
    ended: bool
    touched: float

    @classmethod
    def read(cls, path: Path) -> _State:
        """Read a file; one that somebody removed meanwhile has ended."""
        try:
            # A file that is opened is asked for on the server; a mere stat may be old.
            with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
                data, touched = file.read(_MOST_BYTES), os.fstat(file.fileno()).st_mtime
        except FileNotFoundError:
            return cls(None, True, 0.0)
        except OSError as error:
            raise _unusable(path, error) from error
        line, _, rest = data.partition(b"\n")
        try:
            return cls(Holder.model_validate_json(line), b"\n" in rest, touched)
        except ValidationError:  # empty or torn: never whole, or written by another version
            return cls(None, b"\n" in rest, touched)

    def stands(self, folder: Path, ttl: float) -> bool:
        """Return whether its holder may still be at work; ``folder`` is where a clock may lie."""
        if self.ended:
            return False
        # one of another machine can't be seen
        if self.holder is not None and self.holder.process.is_alive() is False:
            return False
        # a time of the future is no sign of life either: that clock was set back
        silence = abs(touch(folder / ".clock") - self.touched)
        return silence < (ttl if self.holder is not None else min(ttl, _NAMELESS_S))


def _take(folder: Path, unit: str, ttl: float) -> Claim | None:
    """Make the unit's next claim; return None if the last one stands, or another was faster."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        last = _newest(folder)
        before = _State.read(_path(folder, last)) if last else None
        if before is not None and before.stands(folder.parent, ttl):
            return None
        path, line = _path(folder, last + 1), _line()
        if not _create(path, line):
            return None
        if before is not None and not before.ended:
            # best effort: the next file says the same, and this one may belong to another user
            with suppress(OSError):
                _append(_path(folder, last), b"\n" + _TAKEN if before.holder is None else _TAKEN)
            _log.warning(
                "Took over %s of %s: %s ended without giving it back.",
                unit,
                folder.parents[1],
                before.holder or "its holder",
            )
    except OSError as error:
        raise _unusable(folder, error) from error
    return Claim(unit, last + 1, path, line)


def _beat(path: Path, ttl: float, end: threading.Event) -> None:
    while not end.wait(ttl / _BEATS_PER_TTL):
        try:
            os.utime(path)  # without times: the server's clock, not this machine's
        except FileNotFoundError:
            return
        except OSError as error:
            _log.warning("The claim %s got no heartbeat: %s", path, error)


def _newest(folder: Path) -> int:
    """Return the epoch of the last claim, 0 before the first."""
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return 0
    epochs = [name.removesuffix(".jsonl") for name in names]
    return max(
        (int(epoch) for epoch in epochs if epoch.isascii() and epoch.isdigit() and len(epoch) < 10),
        default=0,
    )


def _path(folder: Path, epoch: int) -> Path:
    return folder / f"{epoch:04d}.jsonl"


def _line() -> bytes:
    holder = Holder(process=Process.current(), since=time.time(), job=scheduled_job())
    # earlier versions read claims too, and know of no jobs
    exclude = {"job"} if holder.job is None else None
    return holder.model_dump_json(exclude=exclude).encode() + b"\n"


def _create(path: Path, line: bytes) -> bool:
    """Make a claim file; return False if there is one.

    Neither file nor name is synced: a claim need not outlive its machine.
    """
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    except FileExistsError:
        return False
    try:
        write_all(fd, line)
    finally:
        os.close(fd)
    return True


def _append(path: Path, line: bytes) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK | os.O_NOFOLLOW)
    try:
        if os.fstat(fd).st_nlink == 1:  # one with a second name may be anybody's file
            write_all(fd, line)
    finally:
        os.close(fd)


def _read(path: Path) -> bytes | None:
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
            return file.read(_MOST_BYTES)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unusable(path, error) from error


def _unusable(path: Path, error: OSError) -> StoreError:
    return StoreError(
        f"{path} can't be used: {error.strerror or error}.",
        hint="The run directory must be writable by every worker: free space, or change its "
        "permissions, then resume the run.",
    )
