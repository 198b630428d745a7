"""``--workers`` of ``run`` and ``resume``: several workers at one run on this machine. No torch."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence

import typer

from trimtab.cli.phases import show_report
from trimtab.cli.pool_size import Wanted, share
from trimtab.cli.progress import make_progress
from trimtab.cli.terminal import complain, say
from trimtab.compute.local.pool import Outcome, Pool
from trimtab.core import stopping
from trimtab.core.counted import counted
from trimtab.core.errors import JudgeError
from trimtab.runs.store import finished
from trimtab.runs.store.run import Run
from trimtab.runs.usage import meter
from trimtab.runs.usage.memory import Need
from trimtab.runs.usage.progress import Progress
from trimtab.runs.work import checks
from trimtab.runs.work.counted import Counted, is_large
from trimtab.runs.work.phases import record_checks
from trimtab.runs.work.standing import tallies
from trimtab.runs.work.stay import left
from trimtab.runs.work.units import KINDS

_SECONDS_BETWEEN_LOOKS = 1.0
_SHARE_OF_LOOKS = 0.02
"""Most of the time that may go into counting what is there."""


def run_all(run: Run, wanted: Wanted) -> None:
    """Have several workers do what a run owes; then checks and report, as one process does.

    Raises:
        WorkerError: A worker failed.
        MemoryShortError: A worker ran out of memory, and again when it was tried alone.
        JudgeError: A judge failed; the report of the rest is written.
    """
    if finished.is_finished(run.dir):
        say(f"Nothing is owed, and the report is of what is there: {run.dir}/report/index.html")
        checks.require(run)
        return
    again = f"trimtab resume {run.dir} --workers {wanted}"
    with stopping.going_on_with(again):
        say(f"run: {run.dir}")
        before, began = len(meter.read(run.dir)), time.monotonic()
        outcome, number = work_together(run, wanted)
        if outcome.left:
            complain(f"stopped: workers were told to end. Left: {left(run)}. Go on with: {again}")
            raise typer.Exit(stopping.LEFT)
        record_checks(run, KINDS)
        show_report(run, [_speed(run, before, number, time.monotonic() - began)])
        if outcome.failed_judges is not None:
            raise JudgeError(outcome.failed_judges)
        finished.mark(run.dir)
    checks.require(run)


def work_together(
    run: Run,
    wanted: Wanted,
    options: Sequence[str] = (),
    beat: Callable[[], None] = lambda: None,
) -> tuple[Outcome, int]:
    """Have several workers do what a run owes, and nothing more; return how many they were.

    Args:
        run: The run.
        wanted: How many.
        options: Further options of each worker.
        beat: Called several times a second.

    Raises:
        WorkerError: A worker failed.
        MemoryShortError: A worker ran out of memory, and again when it was tried alone.
    """
    need = Need(run)
    shared = share(run, wanted, need.bytes)
    for line in shared.why:
        say(line)
    board = Board(run, counted(len(shared.slots), "worker"))

    def watch() -> None:
        board.look()
        beat()

    command = [sys.executable, "-m", "trimtab", "work", os.fspath(run.dir), *options]
    pool = Pool(command, shared.slots, need.now, shared.free, board.note, watch)
    try:
        outcome = pool.run()
        board.look(now=True)
    finally:
        board.close()
    return outcome, len(shared.slots)


class Board:
    """One bar over all that the workers do, from what is in the run."""

    def __init__(self, run: Run, name: str) -> None:
        """Draw nothing yet; the bar is to have a name."""
        self._run = run
        self._name = name
        self._progress: Progress = make_progress()
        self._total: int | None = None
        self._done = 0
        self._next = 0.0

    def look(self, *, now: bool = False) -> None:
        """Count what is there, unless that was done a moment ago."""
        began = time.monotonic()
        if began < self._next and not now:
            return
        self._run.refresh()
        some = list(Counted(self._run).tallies() if is_large(self._run) else tallies(self._run))
        done = sum(tally.done for tally in some)
        total = done + sum(tally.owed for tally in some)
        if total != self._total:  # the plan has grown
            self.close()
            self._progress.start(self._name, total, done)
            self._total, self._done = total, done
        elif done > self._done:
            self._progress.advance(done - self._done, 0)
            self._done = done
        took = time.monotonic() - began
        self._next = began + max(_SECONDS_BETWEEN_LOOKS, took / _SHARE_OF_LOOKS)

    def note(self, line: str) -> None:
        """Say what a worker says."""
        self._progress.note(line) if self._total is not None else complain(line)

    def close(self) -> None:
        """Leave the bar as it stands."""
        if self._total is not None:
            self._progress.finish()
            self._total = None


def _speed(run: Run, before: int, workers: int, seconds: float) -> str:
    """Return the line on what the pool took; times of phases overlap, and are not added up."""
    records = meter.read(run.dir)[before:]
    rows, tokens = (sum(getattr(r, name) for r in records) for name in ("rows", "tokens"))
    parts = [f"{counted(workers, 'worker')}, {seconds:,.1f} s in all", f"{rows:,} rows"]
    if tokens:
        parts.append(f"{tokens / seconds:,.0f} tokens/s")
    peaks = [r.peak_memory_mib for r in records if r.peak_memory_mib is not None]
    if peaks:
        parts.append(f"peak memory {max(peaks):,.0f} MiB of a worker")
    return "speed: " + "; ".join(parts)
