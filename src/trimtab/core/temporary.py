"""Names of files and folders that are being written, by which left-over ones are known.

A name holds who writes: the machine (boot and process namespace) and the process. What a dead
process of this machine left is swept when a run is next worked on; what another machine left, after
a day by the clock of the file system.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
import socket
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from trimtab.core.boots import boot_id, pid_namespace
from trimtab.core.file_clock import touch

_NAME = re.compile(r"\..+\.([0-9a-f]{8})-(\d+)-[0-9a-f]{8}\.tmp")
_DAY_S = 86400.0


def temporary(path: Path) -> Path:
    """Return a new name beside ``path`` for what is to become ``path``."""
    return path.with_name(f".{path.name}.{_here()}-{os.getpid()}-{secrets.token_hex(4)}.tmp")


def is_left_over(path: Path) -> bool:
    """Return whether ``path`` is a temporary file or folder that nobody writes any more."""
    found = _NAME.fullmatch(path.name)
    if found is None:
        return False
    if found[1] == _here():
        return not _lives(int(found[2]))
    with suppress(OSError):
        return _now(path.parent) - path.lstat().st_mtime > _DAY_S
    return False


def sweep(folder: Path, skip: tuple[str, ...] = ()) -> None:
    """Remove what dead processes left in ``folder`` and below it, but for the folders in ``skip``.

    Links are not followed; what can't be removed stays.
    """
    for place, folders, files in os.walk(folder):
        at = Path(place)
        for name in files:
            if is_left_over(at / name):
                with suppress(OSError):
                    (at / name).unlink()
        for name in [name for name in folders if is_left_over(at / name)]:
            shutil.rmtree(at / name, ignore_errors=True)
        folders[:] = [n for n in folders if n not in skip and not is_left_over(at / n)]


def _now(folder: Path) -> float:
    """Return the time by the clock of the file system that holds ``folder``."""
    probe = temporary(folder / "clock")
    try:
        return touch(probe)
    finally:
        probe.unlink(missing_ok=True)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass  # it belongs to another user
    return True


@lru_cache
def _here() -> str:
    """Return what tells this machine, since its boot, and its process ids from others."""
    # where no boot is known others of its name can't be told apart, so it is this process alone
    parts = [socket.gethostname(), boot_id() or secrets.token_hex(8), pid_namespace() or ""]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:8]
