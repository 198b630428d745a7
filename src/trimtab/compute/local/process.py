"""One worker as a process in a session of its own, with what it says and the memory that it had."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress

_UNIT = 1 if sys.platform == "darwin" else 1024
"""Bytes in which the system counts resident memory."""

_POLL_S = 0.05
_ERROR = "error: "


class WorkerProcess:
    """A worker that runs, or has ended.

    Attributes:
        code: Exit code; minus the signal's number where one ended it; None while it runs.
        peak: Most resident memory that the process had, in bytes; 0 while it runs. What it shared
            with processes that it forked counts once.
        told_to_stop: Whether ``stop`` was called.
        error: What its line said that begins with ``error:``, once it was read; else empty.
    """

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], lifeline: int
    ) -> None:
        """Start it.

        Args:
            command: The worker's command; ``--lifeline`` and the pipe's number are added.
            environment: Added to the variables of this process.
            lifeline: Reading end of a pipe that this process alone can write to.
        """
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 (closed with this object)
        self._read = 0
        self._process = subprocess.Popen(
            [*command, "--lifeline", str(lifeline)],
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=self._said,
            stderr=subprocess.STDOUT,
            pass_fds=(lifeline,),
            start_new_session=True,  # Ctrl-C in a terminal is the parent's, who tells the others
        )
        self.code: int | None = None
        self.peak = 0
        self.told_to_stop = False
        self.error = ""

    def poll(self) -> int | None:
        """Look whether it has ended, and return its exit code."""
        if self.code is None:
            pid, status, usage = os.wait4(self._process.pid, os.WNOHANG)
            if pid:
                self.code = self._process.returncode = os.waitstatus_to_exitcode(status)
                self.peak = usage.ru_maxrss * _UNIT
        return self.code

    def lines(self) -> list[str]:
        """Return the lines that it has said since this was last asked, without its error."""
        data = os.pread(self._said.fileno(), 1 << 20, self._read)
        end = len(data) if self.code is not None else data.rfind(b"\n") + 1
        self._read += end
        said = [line for line in data[:end].decode(errors="replace").splitlines() if line.strip()]
        for line in said:
            if line.startswith(_ERROR):
                self.error = line.removeprefix(_ERROR)
        return [line for line in said if not line.startswith(_ERROR)]

    def stop(self) -> None:
        """Ask it to end after the row in hand."""
        self.told_to_stop = True
        self._send(signal.SIGTERM)

    def kill(self) -> None:
        """End it, and what it forked, at once."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def close(self) -> None:
        """Forget what it said; it must have ended."""
        self._said.close()

    def _send(self, number: signal.Signals) -> None:
        if self.poll() is None:
            os.kill(self._process.pid, number)


def stop_all(workers: Sequence[WorkerProcess], seconds: float) -> None:
    """Ask workers to end, and end those that have not within some seconds."""
    for worker in workers:
        if worker.poll() is None:
            worker.stop()
    end = time.monotonic() + seconds
    while [w for w in workers if w.poll() is None] and time.monotonic() < end:
        time.sleep(_POLL_S)
    for worker in workers:
        if worker.poll() is None:
            worker.kill()
    while [w for w in workers if w.poll() is None]:
        time.sleep(_POLL_S)
    for worker in workers:
        worker.close()
