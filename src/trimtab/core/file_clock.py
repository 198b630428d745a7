"""The clock of a file system: times of files are compared with it, and clocks of machines never."""

from __future__ import annotations

import os
from pathlib import Path


def touch(path: Path) -> float:
    """Touch a file, made if need be, and return the time that its file system gave it, in seconds.

    It is the server's clock where the server gives times, as NFS does; some file systems take the
    clock of the machine that touches.

    Raises:
        OSError: The file can't be made or touched.
    """
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
    try:
        os.utime(fd)  # without times: no clock of this machine is sent
        return os.fstat(fd).st_mtime
    finally:
        os.close(fd)
