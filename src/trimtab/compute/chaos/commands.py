"""Commands of trimtab as processes that can be killed, and that end with who started them."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Protocol

MARK = "TRIMTAB_CHAOS"
"""Variable by which what a command started is known, wherever it has gone."""

_POLL_S = 0.02
_MOST_SECONDS = 3600.0
_KILLED = -signal.SIGKILL


class Process(Protocol):
    """What is needed of a process: ``subprocess.Popen`` has it."""

    @property
    def pid(self) -> int:
        """Its number."""

    def poll(self) -> int | None:
        """Return its exit code, minus the number of what killed it; None while it runs."""


class Launch(Protocol):
    """Starts a command of trimtab in a process group of its own."""

    def __call__(
        self,
        argv: Sequence[str],
        environment: Mapping[str, str],
        logs: tuple[Path, Path],
        limit: int | None,
    ) -> Process:
        """Start it.

        Args:
            argv: The command, without ``trimtab``.
            environment: Added to the variables of this process.
            logs: Files of what it says and of its errors.
            limit: Most bytes of a file that it may write.
        """


def launch(
    argv: Sequence[str],
    environment: Mapping[str, str],
    logs: tuple[Path, Path],
    limit: int | None,
) -> Process:
    """Start a command with the Python of this process, see ``Launch``."""
    with logs[0].open("wb") as out, logs[1].open("wb") as err:
        return subprocess.Popen(
            [sys.executable, "-m", "trimtab", *argv],
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,  # Ctrl-C in a terminal is this process's, which ends the others
            preexec_fn=None if limit is None else limited(limit),
        )


def limited(num_bytes: int) -> Callable[[], None]:
    """Return what lets a process write no file of more than ``num_bytes``."""
    return partial(resource.setrlimit, resource.RLIMIT_FSIZE, (num_bytes, resource.RLIM_INFINITY))


@dataclass(frozen=True)
class Command:
    """A command that runs, or has ended.

    Attributes:
        process: Its process.
        logs: Files of what it says and of its errors.
    """

    process: Process
    logs: tuple[Path, Path]

    @property
    def code(self) -> int | None:
        """Return the exit code; None while it runs."""
        return self.process.poll()

    def runs(self) -> bool:
        """Return whether it has not ended yet."""
        return self.code is None

    def send(self, number: signal.Signals) -> bool:
        """Send a signal to this process alone; return whether it still ran."""
        if not self.runs():
            return False
        os.kill(self.process.pid, number)
        return True

    def wait(self, codes: Sequence[int], seconds: float = _MOST_SECONDS) -> list[str]:
        """Wait for the end and return what is wrong with it; what hangs is killed."""
        end = time.monotonic() + seconds
        while self.runs():
            if time.monotonic() > end:
                self.kill()
                return [f"no end within {seconds:.0f} seconds: {self.logs[1]}"]
            time.sleep(_POLL_S)
        out, err = (path.read_text(errors="replace") for path in self.logs)
        assert self.code is not None
        return mishaps(self.code, out, err, codes)

    def kill(self) -> None:
        """End it, and what is in its process group, at once."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        while self.runs():
            time.sleep(_POLL_S)


@dataclass
class Commands:
    """All that was started, so that it can be ended.

    Attributes:
        folder: Where logs go.
        environment: Variables of every command.
        launch: Starts one.
    """

    folder: Path
    environment: Mapping[str, str]
    launch: Launch = launch
    _started: list[Command] = field(default_factory=list)

    def start(self, argv: Sequence[str | Path], limit: int | None = None) -> Command:
        """Start a command; ``limit`` is the most bytes of a file that it may write."""
        self.folder.mkdir(parents=True, exist_ok=True)
        stem = self.folder / f"{len(self._started):04d}-{argv[0]}"
        logs = (stem.with_suffix(".out"), stem.with_suffix(".err"))
        words = [str(word) for word in argv]
        command = Command(self.launch(words, self.environment, logs, limit), logs)
        self._started.append(command)
        return command

    def run(self, argv: Sequence[str | Path], codes: Sequence[int] = (0,)) -> list[str]:
        """Run a command to its end; return what is wrong with that."""
        return self.start(argv).wait(codes)

    def left(self) -> list[int] | None:
        """Return processes that commands started and that live still; None where nothing tells."""
        return marked(self.environment[MARK])

    def close(self) -> None:
        """End all that lives still."""
        for command in self._started:
            if command.runs():
                command.kill()
        end_marked(self.environment[MARK])


def mishaps(code: int, out: str, err: str, codes: Sequence[int]) -> list[str]:
    """Return what is wrong with how a command ended; ``codes`` are those that it may end with."""
    last = (err.splitlines() or [""])[-1]
    lines = []
    if "Traceback" in out + err or "unforeseen" in out + err:
        lines.append(f"a traceback: {last[:200]}")
    if code not in codes:
        lines.append(f"exit code {code}: {last[:200]}")
    return lines


def marked(mark: str) -> list[int] | None:
    """Return processes of this user that began with a mark; None where there is no /proc."""
    if not Path("/proc/self/environ").is_file():
        return None
    wanted, found = f"{MARK}={mark}".encode(), []
    for path in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):  # another user's, or gone meanwhile
            if wanted in path.read_bytes().split(b"\0") and int(path.parent.name) != os.getpid():
                found.append(int(path.parent.name))
    return sorted(found)


def end_marked(mark: str) -> None:
    """Kill the processes that began with a mark."""
    for number in marked(mark) or ():
        with suppress(ProcessLookupError, PermissionError):
            os.kill(number, signal.SIGKILL)
