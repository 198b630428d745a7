"""Workers of one run on this machine: as many as fit, until all is done or one of them fails.

What is owed and who does it stands in the run: here processes are started and watched. A worker
that ran out of memory is started once more, alone; after that there are fewer of them.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from trimtab.compute.local.process import WorkerProcess, stop_all
from trimtab.core.errors import JudgeError, MemoryShortError, TrimtabError
from trimtab.core.stopping import LEFT

STOP_S = 5.0
"""How long workers may go on with a row when the pool is stopped; what is written is not lost."""

DRAIN_S = 25.0
"""How long they may before one of them is tried alone."""

_POLL_S = 0.2
_GROWTH = 1.5


class WorkerError(TrimtabError):
    """A worker failed; its line and its exit code are those of the whole."""

    def __init__(self, message: str, exit_code: int) -> None:
        """Take what the worker said."""
        super().__init__(message)
        self.exit_code = exit_code


@dataclass(frozen=True)
class Outcome:
    """How a pool ended that did not fail.

    Attributes:
        failed_judges: What the worker said that found judges failing; all else is done then.
        left: Whether workers were stopped by somebody else, so that units may be owed.
    """

    failed_judges: str | None
    left: bool


class Pool:
    """Workers of one run."""

    def __init__(
        self,
        command: Sequence[str],
        slots: Sequence[Mapping[str, str]],
        need: Callable[[], int],
        free: int | None,
        tell: Callable[[str], None],
        watch: Callable[[], None],
    ) -> None:
        """Start nothing yet.

        Args:
            command: The command of one worker.
            slots: Variables of each worker that may run: its threads, its GPU.
            need: Returns the bytes that one worker needs, as far as that is known.
            free: Bytes that workers may have together; None if unknown.
            tell: Told what a person should know, a line each.
            watch: Called several times a second while workers run.
        """
        self._command, self._slots = tuple(command), slots
        self._need, self._free, self._tell, self._watch = need, free, tell, watch
        self._most = len(slots)
        self._grown = 0
        self._running: dict[int, WorkerProcess] = {}
        self._said: set[str] = set()
        self._over = False
        self._failed_judges: str | None = None
        self._left = False

    def run(self) -> Outcome:
        """Have the workers do what is owed; return when all have ended.

        Raises:
            WorkerError: A worker failed; the others were stopped.
            MemoryShortError: A worker ran out of memory, and again when it was alone.
        """
        reader, writer = os.pipe()
        try:
            while self._admit(reader) or self._running:
                self._look(reader)
                self._wait()
        finally:
            stop_all(list(self._running.values()), STOP_S)
            os.close(writer)
            os.close(reader)
        return Outcome(self._failed_judges, self._left)

    def _wait(self) -> None:
        self._watch()
        time.sleep(_POLL_S)

    def allowed(self) -> int:
        """Return how many workers memory has room for now; one is always tried."""
        if self._free is None:
            return self._most
        return max(1, min(self._most, self._free // max(self._need(), self._grown, 1)))

    def _admit(self, reader: int) -> bool:
        """Start workers while there is room; return whether any was started."""
        if self._over or len(self._running) >= self._most:
            return False
        number = self.allowed() - len(self._running)
        free = [slot for slot in range(len(self._slots)) if slot not in self._running]
        for slot in free[: max(number, 0)]:
            self._running[slot] = WorkerProcess(self._command, self._slots[slot], reader)
        return number > 0

    def _look(self, reader: int) -> None:
        """Pass on what workers say, and take note of those that have ended."""
        ended = [slot for slot, worker in self._running.items() if worker.poll() is not None]
        for worker in self._running.values():
            self._relay(worker)
        short = [slot for slot in ended if _is_of_memory(self._running[slot])]
        for slot in ended:
            worker = self._running[slot]
            if slot not in short:
                del self._running[slot]
                worker.close()
                self._take_note(worker)
        if short:
            self._after_short(short, reader)

    def _relay(self, worker: WorkerProcess) -> None:
        """Pass on what no worker has said before."""
        for line in worker.lines():
            if line not in self._said:
                self._said.add(line)
                self._tell(line)

    def _take_note(self, worker: WorkerProcess) -> None:
        """Note how a worker ended; raise WorkerError if the others are to stop for it."""
        code = worker.code
        assert code is not None
        if code == 0:
            self._over = True  # nothing is owed: others end by themselves
        elif code == JudgeError.exit_code:
            self._over, self._failed_judges = True, worker.error
        elif code == LEFT:
            self._left = self._over = True
        else:
            how = f"signal {-code}" if code < 0 else f"exit code {code}"
            said = (
                worker.error
                or f"A worker ended with {how} and said nothing; the log of its attempt may."
            )
            raise WorkerError(said, code if code > 0 else 1)

    def _after_short(self, slots: Sequence[int], reader: int) -> None:
        """Try alone what a worker had no memory for, then go on with fewer workers.

        Raises:
            MemoryShortError: It was alone already, and has been tried twice.
        """
        together = len(self._running)
        before = max(self._need(), self._grown)
        dead = [self._running[slot] for slot in slots]
        self._grown = max([int(before * _GROWTH), *(worker.peak for worker in dead)])
        how = dead[0].error or "it was killed by signal 9, as happens when memory is short"
        self._tell(
            f"A worker ran out of memory ({how}). It is tried again alone, taken to need "
            f"{_gib(self._grown)}."
        )
        self._stop_others()
        self._most = max(1, together - 1)
        slot = slots[0]
        # the units that were in hand come first again
        alone = [*self._command, "--max-units", str(together)] if self._most > 1 else self._command
        worker = WorkerProcess(alone, self._slots[slot], reader)
        self._running[slot] = worker
        while worker.poll() is None:
            self._relay(worker)
            self._wait()
        self._relay(worker)
        worker.close()
        del self._running[slot]
        if _is_of_memory(worker):
            raise MemoryShortError(
                f"A worker that had {_gib(worker.peak)} ran out of memory twice, the second time "
                f"alone: {worker.error or 'it was killed by signal 9'}",
                hint="Use a smaller model, `dtype: bfloat16`, or a machine with more memory.",
            )
        if worker.code != LEFT or self._most == 1:
            self._take_note(worker)

    def _stop_others(self) -> None:
        stop_all(list(self._running.values()), DRAIN_S)
        self._running = {}


def _is_of_memory(worker: WorkerProcess) -> bool:
    """Return whether a worker ended for want of memory, as far as its end tells."""
    killed = worker.code == -signal.SIGKILL and not worker.told_to_stop
    return killed or worker.code == MemoryShortError.exit_code


def _gib(number: int) -> str:
    return f"{number / 2**30:.1f} GiB"
