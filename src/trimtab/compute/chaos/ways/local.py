"""Workers of this machine: ``trimtab work``, and ``trimtab resume`` to the end."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Sequence
from pathlib import Path

from trimtab.compute.chaos.commands import Command
from trimtab.compute.chaos.scene import Scene
from trimtab.compute.chaos.ways.base import Way, Work
from trimtab.core import stopping
from trimtab.core.errors import StoreError

_SECONDS_TO_LEAVE = 10.0


class CommandWork(Work):
    """A command that is a worker, or that has workers which end with it."""

    told: tuple[signal.Signals, ...] = (signal.SIGTERM, signal.SIGUSR2, signal.SIGINT)
    """Signals with which schedulers and people end it."""

    def __init__(self, command: Command, codes: Sequence[int]) -> None:
        """Name the command, and the exit codes with which it may end undisturbed."""
        self._command = command
        self._codes = tuple(codes)

    def runs(self) -> bool:
        """Return whether it runs."""
        return self._command.runs()

    def kill(self, rng: random.Random) -> bool:
        """SIGKILL it."""
        return self._command.send(signal.SIGKILL)

    def preempt(self, rng: random.Random) -> bool:
        """Send it one of the signals."""
        return self._command.send(rng.choice(self.told))

    def wait(self, *, disturbed: bool) -> list[str]:
        """Wait for its end."""
        return self._command.wait((*self._codes, *_disturbed()) if disturbed else self._codes)


class Local(Way):
    """Processes of this machine."""

    seconds_to_leave = _SECONDS_TO_LEAVE
    """How long processes that a command started may outlive it."""

    def __init__(self, scene: Scene) -> None:
        """Name the scene."""
        self.scene = scene

    def start(self, run: Path, *, limit: int | None = None) -> Work:
        """Start one worker."""
        command = self.scene.commands.start(["work", run], limit)
        return CommandWork(command, self.scene.codes)

    def finish(self, run: Path) -> list[str]:
        """Resume the run."""
        return self.scene.commands.run(["resume", run], self.scene.codes)

    def left(self, run: Path) -> int | None:
        """Return how many processes live still."""
        end = time.monotonic() + self.seconds_to_leave
        while found := self.scene.commands.left():
            if time.monotonic() > end:
                break
            time.sleep(0.1)
        return None if found is None else len(found)

    def end(self, run: Path) -> None:
        """End all that was started."""
        self.scene.commands.close()


def _disturbed() -> tuple[int, ...]:
    """Return the exit codes of what was killed, told to end, or kept from writing."""
    numbers = (*stopping.SIGNALS, *stopping.WARNINGS, signal.SIGKILL)
    signalled = [code for number in numbers for code in (128 + number, -number)]
    return (stopping.LEFT, StoreError.exit_code, *signalled)
