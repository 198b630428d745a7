"""A lock file that the kernel releases when its holder dies, for steps of a few milliseconds."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trimtab.core.errors import HeldError, StoreError
from trimtab.core.files import make_dir


@contextmanager
def locked(path: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold the lock of ``path``, which is made if need be and stays.

    Args:
        path: The lock file; what it holds has no meaning.
        wait: Wait for another holder, else raise.

    Raises:
        HeldError: Another process holds the lock and ``wait`` is off.
        StoreError: The file system can't make or lock the file.
    """
    try:
        make_dir(path.parent)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
    except OSError as error:
        raise StoreError(
            f"{path} can't be made: {error.strerror or error}.",
            hint="The run directory must be writable; free space or change its permissions.",
        ) from error
    try:
        _lock(fd, path, wait)
        try:
            yield
        finally:
            # a process that was forked meanwhile has the file open, and would go on holding it
            fcntl.flock(fd, fcntl.LOCK_UN)
    finally:
        os.close(fd)


def _lock(fd: int, path: Path, wait: bool) -> None:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            raise HeldError(
                f"Another process holds {path}.", hint="Wait until it is done, then try again."
            ) from None
        raise StoreError(
            f"{path} can't be locked: {error.strerror or error}.",
            hint="Put the run directory on a file system that knows flock.",
        ) from error
