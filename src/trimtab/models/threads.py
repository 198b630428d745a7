"""How many threads torch computes with: as many as cores are really free. No torch here.

Threads of one product wait for each other, so a core that another process keeps busy holds all of
them up, by a factor of two to thirty on small models. And a library may cut a sum in as many parts
as there are threads, so a run keeps the number that it began with.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass

from trimtab.models.machine import (
    count_physical,
    cpu_quota,
    other_load,
    read_clock,
    usable_cores,
)

_TOLERATED = 0.25
"""Cores of other load that take no thread away: what an idle desktop has."""
_SECONDS = 0.5


@dataclass(frozen=True)
class Readings:
    """What the choice follows from; None is unknown or not said.

    Attributes:
        cores: Physical cores that this process may run on.
        quota: Cores that control groups allow it.
        slurm: Cores that a scheduler gave each task.
        asked: The user's own choice.
        other_load: Cores that other processes keep busy.
    """

    cores: int
    quota: float | None = None
    slurm: int | None = None
    asked: int | None = None
    other_load: float | None = None

    @property
    def allowed(self) -> int:
        """Most threads that have a core each."""
        limits = [self.cores, self.slurm, None if self.quota is None else math.floor(self.quota)]
        return max(1, min(limit for limit in limits if limit is not None))


@dataclass(frozen=True)
class Threads:
    """A choice.

    Attributes:
        count: Threads.
        notice: What the user should know of it, if anything.
    """

    count: int
    notice: str | None = None


def choose(readings: Readings, recorded: int | None = None) -> Threads:
    """Choose the number of threads.

    The user's own choice wins; then the number that the run began with; then what is free.

    Args:
        readings: The machine.
        recorded: Threads of the run's first attempt; None for a new run.
    """
    if readings.asked is not None:
        return Threads(readings.asked, _differs(readings.asked, recorded))
    if recorded is not None and recorded < readings.allowed:
        return Threads(
            recorded,
            f"threads: {recorded}, as this run began, of {readings.allowed} that could be had; "
            "more are faster, and may change last bits: OMP_NUM_THREADS chooses",
        )
    if recorded is not None:
        count = min(recorded, readings.allowed)
        return Threads(count, _differs(count, recorded))
    load = readings.other_load or 0.0
    taken = max(0, math.ceil(load - _TOLERATED))
    count = max(1, readings.allowed - taken)
    if count == readings.allowed:
        return Threads(count)
    return Threads(
        count,
        f"threads: {count} of {readings.allowed}, because other processes keep {load:.1f} cores "
        "busy; OMP_NUM_THREADS chooses otherwise",
    )


def _differs(count: int, recorded: int | None) -> str | None:
    if recorded is None or count == recorded:
        return None
    return (
        f"threads: {count}, and this run began with {recorded}: rows made now may differ from an "
        f"undisturbed run's in their last bits; OMP_NUM_THREADS={recorded} repeats its sums"
    )


def take_readings(environment: Mapping[str, str] = os.environ, *, new: bool = True) -> Readings:
    """Read the machine; for a ``new`` run without a choice, half a second of other load too."""
    cores = usable_cores()
    asked = _number(environment, "OMP_NUM_THREADS") or _number(environment, "MKL_NUM_THREADS")
    return Readings(
        cores=count_physical(cores),
        quota=cpu_quota(),
        slurm=_number(environment, "SLURM_CPUS_PER_TASK"),
        asked=asked,
        other_load=_measure(cores) if new and asked is None else None,
    )


def _measure(cores: frozenset[int]) -> float | None:
    before = read_clock(cores)
    time.sleep(_SECONDS)
    return other_load(before, read_clock(cores))


def _number(environment: Mapping[str, str], name: str) -> int | None:
    """Return a variable as a number above 0; OpenMP takes a list for nested levels, the first."""
    text = environment.get(name, "").split(",")[0].strip()
    return int(text) if text.isdecimal() and int(text) > 0 else None
