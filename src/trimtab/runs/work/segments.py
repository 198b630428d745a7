"""The segment files that one attempt writes: one for each cell, and for each judge and cell."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from contextlib import ExitStack

from trimtab.core.records import SegmentWriter
from trimtab.core.types import Completion, Score
from trimtab.runs.store.run import Run

_SYNC_S = 0.5
"""How long a score may be with the operating system alone while others follow.

A batch of verdicts comes at once, and waiting for the disk after each would cost more than a small
judge. Completions come one by one, and are worth the wait.
"""


_MOST_OPEN = 256


class Segments:
    """Segment files, each made when its first row is there; close them, or use ``with``.

    Of many cells only the files that were written last are open: a process may hold so many.
    """

    def __init__(self, run: Run, attempt: int) -> None:
        """Open nothing yet; the files are those of ``attempt``."""
        self._run, self._attempt = run, attempt
        self._files = ExitStack()
        self._writers: dict[tuple[str, ...], SegmentWriter] = {}
        self._open: dict[tuple[str, ...], SegmentWriter] = {}
        self._most_open = min(
            _MOST_OPEN, max(resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 4, 1)
        )
        self._synced = time.monotonic()

    def write(self, row: Completion | Score, fence: Callable[[], None]) -> None:
        """Write a row, so that a killed process does not lose it.

        Args:
            row: The row.
            fence: Called first; raises if this process may not write any more.

        Raises:
            StoreError: The disk is full or broken.
        """
        self._writer(row).append([row], fence, sync=isinstance(row, Completion))
        if time.monotonic() - self._synced > _SYNC_S:
            self.sync()

    def sync(self) -> None:
        """Put all that was written on the disk; raise StoreError if that fails."""
        for writer in self._open.values():
            writer.sync()
        self._synced = time.monotonic()

    def close(self) -> None:
        """Close the files."""
        self._files.close()

    def _writer(self, row: Completion | Score) -> SegmentWriter:
        key = (row.cell,) if isinstance(row, Completion) else (row.judge, row.cell)
        if key not in self._writers:
            writer = (
                self._run.completion_writer(self._attempt, row.cell)
                if isinstance(row, Completion)
                else self._run.score_writer(self._attempt, row.judge, row.cell)
            )
            self._writers[key] = self._files.enter_context(writer)
        writer = self._writers[key]
        self._open.pop(key, None)
        if len(self._open) >= self._most_open:
            self._open.pop(next(iter(self._open))).rest()
        self._open[key] = writer
        return writer
