"""How long a worker stays that joins others at a run, and what it leaves to them."""

from __future__ import annotations

import os
import time
import zlib
from collections.abc import Sequence

from trimtab.core.counted import counted
from trimtab.runs.store.claims import holder_of
from trimtab.runs.store.run import Run
from trimtab.runs.work.standing import tallies
from trimtab.runs.work.state import State
from trimtab.runs.work.units import FitUnit, Unit, units

PATIENCE_S = 30.0
"""How long a worker waits for units of other kinds that nobody works on, unless it is told: between
two units a worker holds none, and another may be about to start."""

POLL_S = (0.5, 5.0)
"""How often a worker that waits looks again: at first, and in the end."""


class Stay:
    """Limits of a worker that joins others; it takes no unit beyond them, and finishes the last.

    Attributes:
        num_units: How many units it has done so far.
    """

    def __init__(
        self,
        seconds: float | None = None,
        max_units: int | None = None,
        patience: float = PATIENCE_S,
        share: tuple[int, int] = (0, 1),
    ) -> None:
        """Begin to count.

        Args:
            seconds: From now until the deadline; None for none.
            max_units: Most units; None for any number.
            patience: Seconds to wait for units of other kinds that nobody works on.
            share: Which of how many shares of the units are its own, from 0 on: the others are for
                workers that do not see this folder.
        """
        self._share = share
        self.num_units = 0
        self._max_units = max_units
        self._seconds = seconds
        self._patience = patience
        self._began = self._seen = time.monotonic()
        self._poll = POLL_S[0]

    @property
    def end(self) -> str | None:
        """Why no further unit is taken; None while some may be."""
        if self._max_units is not None and self.num_units >= self._max_units:
            return f"{counted(self.num_units, 'unit')} of at most {self._max_units} done"
        if self._seconds is not None and time.monotonic() >= self._began + self._seconds:
            return f"the deadline after {self._seconds:.0f} s is reached"
        return None

    @property
    def takes_all(self) -> bool:
        """Whether every unit is its own."""
        return self._share[1] == 1

    def takes(self, unit: Unit) -> bool:
        """Return whether a unit is its own; which are depends on the plan alone."""
        index, number = self._share
        which = zlib.crc32(unit.name.encode()) if isinstance(unit, FitUnit) else unit.number
        return which % number == index

    def sees_work(self) -> None:
        """Note that there is something to do, or somebody who does it."""
        self._seen = time.monotonic()
        self._poll = POLL_S[0]

    def waits_for_others(self, runs: Sequence[Run]) -> bool:
        """Wait a moment for units that others do; return False if nobody has done any for long."""
        if any(_is_worked_on(run) for run in runs):
            self._seen = time.monotonic()
        if time.monotonic() - self._seen > self._patience:
            return False
        time.sleep(self._poll)
        self._poll = min(2 * self._poll, POLL_S[1])
        return True


def left(run: Run) -> str:
    """Return what a run owes, in a few words."""
    counts = {"fit": 0, "generate": 0, "score": 0}
    for tally in tallies(run):
        counts[tally.phase.partition(" ")[0]] += tally.owed
    words = {"fit": "artifact", "generate": "completion", "score": "score"}
    owed = [counted(count, words[phase]) for phase, count in counts.items() if count]
    return ", ".join(owed) or "no row, but the report"


def _is_worked_on(run: Run) -> bool:
    """Return whether anybody holds a unit that is owed."""
    try:
        claimed = set(os.listdir(run.dir / "claims"))
    except FileNotFoundError:
        return False
    state = State(run)
    names = [u.name for u in units(run) if u.name in claimed and state.owed(u)]
    return any(holder_of(run.dir, name) is not None for name in names)
