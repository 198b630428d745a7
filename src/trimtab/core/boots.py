"""Which kernel this process runs under, and in which space its process ids count.

Process ids tell something to processes alone that share both. Names of machines don't: those of
one image, and containers, may have one name.
"""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path


def boot_id() -> str | None:
    """Return what tells this boot of this machine from every other; None if that is not known."""
    if sys.platform == "darwin":
        return _boot_session()
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip() or None
    except OSError:
        return None


def pid_namespace() -> str | None:
    """Return in which space process ids count, as containers have their own; None if in one."""
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return None


def _boot_session() -> str | None:
    """Return what macOS calls this boot."""
    value, size = ctypes.create_string_buffer(64), ctypes.c_size_t(64)
    ask = ctypes.CDLL(None).sysctlbyname
    failed = ask(b"kern.bootsessionuuid", value, ctypes.byref(size), None, ctypes.c_size_t(0))
    return None if failed else value.value.decode() or None
