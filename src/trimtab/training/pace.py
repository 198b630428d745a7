"""How far a training is and how long it still takes, told now and then; nothing depends on it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

_SECONDS_BETWEEN_LINES = 20.0


class Intervals:
    """Says when a line is due, and how fast steps have gone since it began to count."""

    def __init__(
        self,
        seconds: float = _SECONDS_BETWEEN_LINES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Let a line be due at most every so many ``seconds`` of ``clock``."""
        self._seconds, self._clock = seconds, clock
        self.start(0)

    def start(self, step: int) -> None:
        """Begin to count after ``step`` steps."""
        self._first, self._began = step, self._clock()
        self._told = self._began

    def count_from(self, step: int) -> None:
        """Count steps after ``step``; the time began before, with the first of them."""
        self._first = step

    def due(self, step: int, total: int) -> float | None:
        """Return the seconds that a step has taken if a line is due, and count it as told."""
        now = self._clock()
        if step >= total or now - self._told < self._seconds:
            return None
        self._told = now
        return (now - self._began) / (step - self._first)


class Pace:
    """Counts the updates of one process."""

    def __init__(self, tell: Callable[[str], None], intervals: Intervals | None = None) -> None:
        """Tell ``tell`` a line now and then."""
        self._tell, self._intervals = tell, intervals or Intervals()

    def start(self, step: int) -> None:
        """Begin to count after ``step`` updates."""
        self._intervals.start(step)

    def after(self, step: int, total: int, rows: Sequence[Mapping[str, Any]]) -> None:
        """Say how far it is after ``step`` of ``total`` updates, unless it was said just now.

        Args:
            step: Updates made.
            total: Updates to make.
            rows: Newest rows of the log, one of them of this update.
        """
        each = self._intervals.due(step, total)
        if each is None:
            return
        losses = [row["loss"] for row in rows if row.get("loss") is not None]
        loss = f"loss {losses[-1]:.3g}, " if losses else ""
        left = duration(each * (total - step))
        self._tell(f"training: {step} of {total} updates, {loss}{left} left")


def duration(seconds: float) -> str:
    """Return ``90 s`` or ``14 min``."""
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
