"""Who works on a run at this moment, and what its owed units wait for, in lines for a person."""

from __future__ import annotations

from collections.abc import Iterator

from trimtab.runs.store.claims import holder_of
from trimtab.runs.store.run import Run
from trimtab.runs.work.state import State
from trimtab.runs.work.units import Unit, units
from trimtab.runs.work.worker import phase_of


def standing(run: Run) -> list[str]:
    """Return a line for each unit that a worker holds, and one per phase for what waits."""
    state = State(run)
    owed = [unit for unit in units(run) if state.owed(unit)]
    return [*_held(run, owed), *_waiting(state, owed)]


def _held(run: Run, owed: list[Unit]) -> Iterator[str]:
    for unit in owed:
        holder = holder_of(run.dir, unit.name)
        if holder is not None:
            yield f"at work: {unit.name}, {holder}"


def _waiting(state: State, owed: list[Unit]) -> Iterator[str]:
    blocked: dict[str, list[str]] = {}
    for unit in owed:
        what = state.blocker(unit)
        if what is not None:
            blocked.setdefault(phase_of(unit), []).append(what)
    for phase, reasons in blocked.items():
        units_of = "1 unit waits" if len(reasons) == 1 else f"{len(reasons)} units wait"
        yield f"waiting: {phase}, {units_of}, the first for {reasons[0]}"
