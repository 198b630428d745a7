"""How far a training is and how long it still takes, told now and then; nothing depends on it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

_SECONDS_BETWEEN_LINES = 20.0


class Pace:
    """Counts the updates of one process."""

    def __init__(
        self,
        tell: Callable[[str], None],
        seconds: float = _SECONDS_BETWEEN_LINES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Tell ``tell`` a line at most every so many ``seconds`` of ``clock``."""
        self._tell, self._seconds, self._clock = tell, seconds, clock
        self.start(0)

    def start(self, step: int) -> None:
        """Begin to count after ``step`` updates."""
        self._first, self._began = step, self._clock()
        self._told = self._began

    def after(self, step: int, total: int, rows: Sequence[Mapping[str, Any]]) -> None:
        """Say how far it is after ``step`` of ``total`` updates, unless it was said just now.

        Args:
            step: Updates made.
            total: Updates to make.
            rows: Newest rows of the log, one of them of this update.
        """
        now = self._clock()
        if step >= total or now - self._told < self._seconds:
            return
        self._told = now
        left = (now - self._began) / (step - self._first) * (total - step)
        losses = [row["loss"] for row in rows if row.get("loss") is not None]
        loss = f"loss {losses[-1]:.3g}, " if losses else ""
        self._tell(f"training: {step} of {total} updates, {loss}{_duration(left)} left")


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
