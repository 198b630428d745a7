"""Which process on which machine, and whether it still lives."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from trimtab.core.boots import boot_id, pid_namespace


class Process(BaseModel):
    """A process, told from every other one that ever was.

    Attributes:
        pid: Process id.
        host: Name of its machine.
        machine: What tells machines of one name apart, where the system has such a thing.
        boot: What tells one boot of that machine from another, where the system has such a thing.
        namespace: In which process ids count (containers have their own).
        start: When the process began, in the kernel's ticks; tells it from a later one of that id.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    pid: int
    host: str
    machine: str | None
    boot: str | None
    namespace: str | None
    start: int | None

    @classmethod
    def current(cls) -> Process:
        """Return this process."""
        return cls(
            pid=os.getpid(),
            host=socket.gethostname(),
            machine=_line("/etc/machine-id"),
            boot=boot_id(),
            namespace=pid_namespace(),
            start=_stat(os.getpid())[1],
        )

    def is_alive(self) -> bool | None:
        """Return whether it lives; None where that can't be seen from here.

        One of another boot may be of another machine of this name, so nothing is known of it.
        """
        here = Process.current()
        if self.boot is None or self._place != here._place:
            return None
        return _is_running(self.pid, self.start)

    @property
    def _place(self) -> tuple[str | None, ...]:
        return self.host, self.machine, self.boot, self.namespace


def scheduled_job() -> str | None:
    """Return the id of the SLURM job that this process belongs to, as people write it."""
    array, element = (os.environ.get(f"SLURM_ARRAY_{name}_ID") for name in ("JOB", "TASK"))
    return f"{array}_{element}" if array and element else os.environ.get("SLURM_JOB_ID") or None


def _is_running(pid: int, start: int | None) -> bool:
    try:
        if pid <= 0:
            return False
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass  # it lives, and belongs to another user
    state, started = _stat(pid)
    return state not in ("Z", "X") and (None in (start, started) or start == started)


def _stat(pid: int) -> tuple[str | None, int | None]:
    """Return a process's state letter and its start in clock ticks after boot, None if unknown."""
    stat = _line(f"/proc/{pid}/stat")
    if stat is None:
        return None, None
    # The name, in parentheses, may itself hold spaces and parentheses.
    fields = stat.rpartition(")")[2].split()
    return fields[0], int(fields[19])


def _line(path: str) -> str | None:
    """Return a file of one line without its end; None if this system has no such file."""
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None
