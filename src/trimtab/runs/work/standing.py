"""Who works on a run at this moment, and what its owed units wait for, in lines for a person."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

from trimtab.core.counted import counted
from trimtab.runs.store.attempts import last_failure
from trimtab.runs.store.claims import holder_of, num_holders
from trimtab.runs.store.run import Run
from trimtab.runs.work.state import State, lacks_rows
from trimtab.runs.work.units import Unit, cells_of, phase_of, units

_LITTLE_BYTES = 1 << 20


@dataclass(frozen=True)
class Tally:
    """How far one phase is.

    Attributes:
        phase: Its name.
        done: What is there.
        owed: What the plan asks for beyond that.
        state: The same in words.
    """

    phase: str
    done: int
    owed: int

    @property
    def state(self) -> str:
        """``done``, ``not yet`` begun, or half way; ``nothing to do`` where nothing is planned."""
        if not self.owed:
            return "done" if self.done else "nothing to do"
        return "half way" if self.done else "not yet"


def tallies(run: Run) -> Iterator[Tally]:
    """Yield how far each phase is, and of scores each judge; all that is planned counts as owed."""
    keys = list(run.plan.artifact_keys())
    fitted = sum(run.has_artifact(key) for key in keys)
    yield Tally("fit", fitted, len(keys) - fitted)
    missing = sum(len(run.owed(cell)) for cell in run.plan.cells)
    present = sum(len(run.completion_keys(cell.key)) for cell in run.plan.cells)
    yield Tally("generate", present, missing)
    for judge in run.judges():
        cells = cells_of(run, judge)
        done = sum(len(run.score_keys(judge.key, cell.key)) for cell in cells)
        planned = sum(len(run.samples(cell.samples)) * cell.num_samples for cell in cells)
        yield Tally(f"score {judge.key}", done, max(planned - done, 0))


def standing(run: Run) -> list[str]:
    """Return a line for each unit that a worker holds, and per phase for what waits, and why."""
    state = State(run)
    owed = [unit for unit in units(run) if lacks_rows(state, unit)]
    holders = {unit.name: holder_of(run.dir, unit.name) for unit in owed}
    held = [f"at work: {name}, {holder}" for name, holder in holders.items() if holder is not None]
    free = [unit for unit in owed if holders[unit.name] is None]
    waits = [*held, *_waiting(state, owed), *_ready(state, free), *_begun(run, free)]
    return [*waits, *hindrances(run)] if owed else []


def hindrances(run: Run) -> Iterator[str]:
    """Yield what hinders every unit of a run, or lately hindered one: a full disk, an error."""
    try:
        disk = os.statvfs(run.dir)
    except OSError:
        return
    if disk.f_bavail * disk.f_frsize < _LITTLE_BYTES or disk.f_files > 0 == disk.f_favail:
        yield f"disk: where {run.dir} lies nothing, or next to nothing, can be written"
    failure = last_failure(run.dir)
    if failure is not None:
        yield f"failed last: {failure}"


def _ready(state: State, free: list[Unit]) -> Iterator[str]:
    """Yield a line per phase for units that any worker could take."""
    phases = [phase_of(unit) for unit in free if state.is_ready(unit)]
    for phase in dict.fromkeys(phases):
        yield f"ready: {phase}, {counted(phases.count(phase), 'unit')} that no worker has taken yet"


def _begun(run: Run, free: list[Unit]) -> Iterator[str]:
    """Yield a line per phase for units that workers gave back, or died over."""
    begun: dict[str, list[tuple[int, str]]] = {}
    for unit in free:
        number = num_holders(run.dir, unit.name)
        if number:
            begun.setdefault(phase_of(unit), []).append((number, unit.name))
    for phase, some in begun.items():
        number, name = max(some)
        units_were = counted(len(some), "unit was", "units were")
        yield (
            f"free: {phase}, {units_were} begun and not finished, {name} {counted(number, 'time')}"
        )


def _waiting(state: State, owed: list[Unit]) -> Iterator[str]:
    blocked: dict[str, list[str]] = {}
    for unit in owed:
        what = state.blocker(unit)
        if what is not None:
            blocked.setdefault(phase_of(unit), []).append(what)
    for phase, reasons in blocked.items():
        units_of = counted(len(reasons), "unit waits", "units wait")
        yield f"waiting: {phase}, {units_of}, the first for {reasons[0]}"
