"""The file of a ledger: lines that many processes append to, none of which may be lost or changed.

Each line has a number and a checksum (``crc``, see ``core.checksums``), and the lock file beside it
notes how long the journal is. A line that a killed writer left unfinished was never acted upon and
does not count. Anything else that is not as it was written is an error: without it nobody knows
what was spent. Lines of earlier versions have neither number nor checksum.
"""

from __future__ import annotations

import json
import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from trimtab.core.checksums import ChangedError, checked, with_checksum
from trimtab.core.errors import StoreError
from trimtab.core.files import create_or_append, make_dir, write_all, write_error
from trimtab.core.locks import locked

Entry = dict[str, Any]
_DIGITS = 20


class Journal:
    """The entries of one file, each handed on once; not for use by several threads at once.

    Attributes:
        path: The file; its lock lies beside it.
        num_bare: Lines that were read and have no checksum.
    """

    def __init__(self, path: Path, take: Callable[[Entry], None]) -> None:
        """Name the file, which is made by the first entry; ``take`` is given each entry in turn."""
        self.path = path
        self.num_bare = 0
        self._take = take
        self._offset = 0
        self._count = 0
        self._lock = path.with_name(f".{path.name}.lock")

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the file against other processes, with all they wrote taken in."""
        with locked(self._lock):
            self._catch_up()
            yield

    @contextmanager
    def current(self) -> Iterator[None]:
        """Take in what others wrote, as far as it is there; for those who only read."""
        if os.access(self.path.parent, os.W_OK):
            with self.held():
                yield
        else:  # a disk that can't be written holds no lock
            self._catch_up()
            yield

    def append(self, entry: Entry) -> None:
        """Write an entry to the disk and take it in; the file is held.

        Raises:
            StoreError: It can't be written; nothing was added.
        """
        stamped = {**entry, "time": round(time.time(), 3), "pid": os.getpid(), "n": self._count}
        text = json.dumps(stamped, allow_nan=False, separators=(",", ":"))
        data = with_checksum(text.encode("ascii") + b"\n")
        make_dir(self.path.parent)
        try:
            fd = create_or_append(self.path)
        except OSError as error:
            raise write_error(self.path, error, len(data)) from error
        try:
            size = os.fstat(fd).st_size
            if size > self._offset:
                data = b"\n" + data  # closes the line that a killed writer left unfinished
            try:
                write_all(fd, data)
                os.fsync(fd)
            except OSError as error:
                with suppress(OSError):
                    os.ftruncate(fd, size)
                raise write_error(self.path, error, len(data)) from error
        finally:
            os.close(fd)
        self._note_length(size + len(data))
        self._catch_up()

    def _catch_up(self) -> None:
        new, noted = self._read_new(), self._noted_length()
        whole, _, _ = new.rpartition(b"\n")
        reached = self._offset + len(whole) + bool(whole)
        if reached < noted:
            raise self._damaged(
                f"{noted - reached} of the {noted} bytes that it had are gone",
                f" To go on without what they said, delete {self._lock}.",
            )
        if not whole:
            return
        self._offset = reached
        for line in whole.split(b"\n"):
            self._take_line(line)

    def _take_line(self, line: bytes) -> None:
        try:
            entry = json.loads(checked(line))
        except ChangedError:
            raise self._damaged(f"it has the changed line {line[:80]!r}") from None
        except (ValueError, RecursionError):  # what a killed writer left: it was never acted upon
            return
        try:
            number = entry.pop("n", None)
            if number not in (None, self._count):
                raise self._damaged(f"entry {self._count} is followed by entry {number}")
            self.num_bare += number is None
            self._take(entry)
        except (AttributeError, KeyError, TypeError):
            raise self._damaged(f"it has the line {line[:80]!r}") from None
        self._count += 1

    def _read_new(self) -> bytes:
        try:
            fd = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK)
        except FileNotFoundError:
            return b""
        except OSError as error:
            raise StoreError(f"{self.path} can't be read: {error.strerror or error}.") from error
        with open(fd, "rb") as file:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise StoreError(f"{self.path} is no regular file.", hint="Remove it.")
            file.seek(self._offset)
            return file.read()

    def _noted_length(self) -> int:
        """Return how long the journal was when it was last written; 0 if that is not known."""
        try:
            fd = os.open(self._lock, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
            try:
                text = os.read(fd, _DIGITS + 1)
            finally:
                os.close(fd)
        except OSError:
            return 0
        return int(text) if len(text) == _DIGITS and text.isdigit() else 0

    def _note_length(self, length: int) -> None:
        # What can't be noted is not checked; the entry itself is there.
        with suppress(OSError):
            fd = os.open(self._lock, os.O_WRONLY | os.O_NOFOLLOW)
            try:
                os.pwrite(fd, b"%0*d" % (_DIGITS, length), 0)
            finally:
                os.close(fd)

    def _damaged(self, what: str, more: str = "") -> StoreError:
        return StoreError(
            f"{self.path} is damaged: {what}.",
            hint=f"Restore it; without it nobody knows what was spent.{more}",
        )
