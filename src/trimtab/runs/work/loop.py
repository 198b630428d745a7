"""The loop that every worker runs: claim a unit that is ready, do it, look again.

One loop serves a laptop and a hundred nodes: workers meet only in the run directory. A unit that
another worker holds is skipped, and waited for when nothing else is left.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence

from trimtab.core import stopping
from trimtab.core.counted import counted
from trimtab.core.errors import HeldError, JudgeError, StoreError
from trimtab.runs.plan.planner import PlannedFragment
from trimtab.runs.store.claims import claim, holder_of
from trimtab.runs.store.run import Run
from trimtab.runs.work.engines import EnginePool
from trimtab.runs.work.failures import Failures, owner_of
from trimtab.runs.work.state import State
from trimtab.runs.work.stay import Stay
from trimtab.runs.work.units import KINDS, FitUnit, Kind, ScoreUnit, Unit, WindowUnit, units
from trimtab.runs.work.worker import Worker

Grow = Callable[[Run], PlannedFragment | None]
"""Returns the next fragment of a run's plan; None if it is complete."""

Mirror = Callable[[Run], Sequence[str]]
"""Shows others how far a run is, whenever its plan has grown; returns lines to note."""

_POLL_S = 0.5
_log = logging.getLogger(__name__)


def never(_: Run) -> None:
    """Return None: the plan is complete as it is."""


def nowhere(_: Run) -> Sequence[str]:
    """Show nobody anything."""
    return ()


def work(
    workers: Sequence[Worker],
    pool: EnginePool,
    kinds: Sequence[Kind] = KINDS,
    grow: Grow = never,
    mirror: Mirror = nowhere,
    stay: Stay | None = None,
) -> str | None:
    """Do what several runs owe, sharing loaded models; return when nothing is left.

    A worker that joins others waits for units of kinds that are not its own, as long as somebody
    works on them; whichever finds that nothing at all is owed grows the plan.

    Args:
        workers: One per run.
        pool: Loaded models.
        kinds: Which units.
        grow: Asked for the next fragment when all units of a run are done; called only where
            ``kinds`` are all of them, or others are joined.
        mirror: Told of a run by the worker that asked ``grow``, afterwards.
        stay: Limits of a worker that joins others; None works alone.

    Returns:
        Why a worker that joined others ends though units are owed; else None.

    Raises:
        NonFiniteError: Activations or logits are NaN or infinite; finished rows are kept.
        StoreError: What units need is not fitted, or the run directory can't be written.
        JudgeError: Judges failed, or wait for others that did; all others have scored. It is a
            JudgeMemoryError if memory was short for one of them.
        Stopped: A signal came.
    """
    failures = Failures()
    reason = None
    while reason is None:
        stopping.again()
        ready = _all_ready(workers, kinds, failures, stay)
        busy = _take(_by_loaded_model(ready, pool), pool, failures, workers, stay)
        if stay is not None and stay.end is not None and any(map(_owes, workers)):
            reason = stay.end
        # what others add between the two looks is done, too, and is not what nobody can do
        elif any(worker.run.refresh() for worker in workers):
            continue
        elif ready:
            if len(busy) == len(ready):
                _wait(busy)
            if stay is not None:
                stay.sees_work()
        elif stay is None and _scores_alone(kinds) and any(_is_generated(w.run) for w in workers):
            time.sleep(_POLL_S)
        elif (stay is not None or kinds == KINDS) and _extend_any(workers, grow, mirror, failures):
            continue
        elif stay is None or not any(map(_owes, workers)) or (stay.takes_all and kinds == KINDS):
            break
        elif not stay.takes_all:
            reason = "what is owed is not of its share, or waits for what is not"
        elif not stay.waits_for_others([worker.run for worker in workers]):
            reason = "what is owed is not of its kinds, and nobody works on it"
    _leave(workers, failures, kinds if reason is None else ())
    return reason


def _all_ready(
    workers: Sequence[Worker], kinds: Sequence[Kind], failures: Failures, stay: Stay | None
) -> list[tuple[Worker, Unit, Sequence[Unit]]]:
    """Return what can be done now, with all units of its run."""
    return [
        (worker, unit, every)
        for worker in workers
        for every in [worker.units(kinds)]
        for unit in _ready(worker.run, every, kinds, stay)
        if not failures.skip(worker.run.dir, unit) and (stay is None or stay.takes(unit))
    ]


def _leave(workers: Sequence[Worker], failures: Failures, done: Sequence[Kind]) -> None:
    """End the work; raise for what failed, and for what is left of the kinds that must be done."""
    for worker in workers:
        worker.leave()
    failures.require_none()
    for worker in workers if done else ():
        _require_done(worker, done)


def _take(
    ready: Sequence[tuple[Worker, Unit, Sequence[Unit]]],
    pool: EnginePool,
    failures: Failures,
    workers: Sequence[Worker],
    stay: Stay | None,
) -> list[tuple[Worker, Unit]]:
    """Do the units that are free, up to the limits; return those that other workers hold."""
    busy = []
    for worker, unit, every in ready:
        if stay is not None and stay.end is not None:
            break
        if not failures.skip(worker.run.dir, unit):
            anything = attempt(worker, unit, every, pool, failures, workers)
            if anything is None:
                busy.append((worker, unit))
            elif anything and stay is not None:
                stay.num_units += 1
    return busy


def _ready(run: Run, every: Sequence[Unit], kinds: Sequence[Kind], stay: Stay | None) -> list[Unit]:
    # where nothing generates, what is there now is all that a judge will get
    partial = stay is None and _scores_alone(kinds) and not _is_generated(run)
    state = State(run, partial=partial)
    return [unit for unit in every if state.is_ready(unit)]


def _scores_alone(kinds: Sequence[Kind]) -> bool:
    """Return whether completions are scored that others have generated, or generate now."""
    return "score" in kinds and "generate" not in kinds


def _is_generated(run: Run) -> bool:
    """Return whether another worker generates rows of ``run`` at this moment."""
    state = State(run)
    owed = (unit for unit in units(run, ("generate",)) if state.owed(unit))
    return any(holder_of(run.dir, unit.name) is not None for unit in owed)


def _by_loaded_model(
    ready: Sequence[tuple[Worker, Unit, Sequence[Unit]]], pool: EnginePool
) -> list[tuple[Worker, Unit, Sequence[Unit]]]:
    """Sort by phase, then what needs no other model than the loaded one, panels after members."""

    def rank(item: tuple[Worker, Unit, Sequence[Unit]]) -> tuple[object, ...]:
        unit = item[1]
        judge = unit.judge if isinstance(unit, ScoreUnit) else None
        identity = unit.model_identity or ""
        return (
            KINDS.index(unit.kind),
            isinstance(unit, FitUnit) and unit.kind == "score",
            judge is not None and bool(judge.artifacts),
            judge is not None and bool(judge.members),
            identity not in pool.loaded,
            identity if unit.kind == "score" else "",
            judge.key if judge is not None else "",
        )

    return sorted(ready, key=rank)


def attempt(
    worker: Worker,
    unit: Unit,
    every: Sequence[Unit],
    pool: EnginePool,
    failures: Failures,
    workers: Sequence[Worker],
) -> bool | None:
    """Do ``unit``; return whether it owed anything, None if another worker holds it."""
    stopping.again()
    anything = True
    try:
        with claim(worker.run.dir, unit.name) as mine:
            if mine is None:
                return None
            for other in workers:  # what runs now is measured as this run's
                if other is not worker:
                    other.rest()
            anything = worker.execute(unit, pool, mine, every)
            left = State(worker.run, partial=True).owed(unit)
            assert not left, f"{unit.name} was done, and still owes {left[:3]}"
    except HeldError as error:
        _log.warning("%s", error)
        worker.progress.note(f"stopped: {error}")
    except (StoreError, KeyboardInterrupt):
        raise
    except Exception as error:
        stopping.again()  # it may be what a library made of a signal
        if unit.kind != "score":
            raise
        # a judge is extension code: whatever it raises is its failure, and stops no other judge
        _log.debug("judge %s failed", owner_of(unit), exc_info=True)
        worker.progress.note(failures.add(worker.run.dir, unit, error))
    return anything


def _wait(busy: Sequence[tuple[Worker, Unit]]) -> None:
    worker, unit = busy[0]
    holder = holder_of(worker.run.dir, unit.name)
    if holder is not None:
        worker.waits_for(f"{unit.name} is {holder}")
    time.sleep(_POLL_S)


def _extend_any(workers: Sequence[Worker], grow: Grow, mirror: Mirror, failures: Failures) -> bool:
    """Extend each plan that can be; return whether there is more to do."""
    return bool([worker for worker in workers if _extend(worker, grow, mirror, failures)])


def _extend(worker: Worker, grow: Grow, mirror: Mirror, failures: Failures) -> bool:
    """Add the next fragment to the plan, or learn of one; return whether there is more to do."""
    run = worker.run
    if failures.any_in(run.dir) or _owes(worker):
        return False
    known = len(run.plan.fragments)
    with claim(run.dir, "grow") as mine:
        if mine is not None:
            run.refresh()
            planned = grow(run) if len(run.plan.fragments) == known else None
            if planned is not None:
                mine.check()
                run.extend(planned.fragment, planned.data.folders())
                worker.progress.note(f"The plan grows: {planned.fragment.reason}")
            for line in mirror(run):
                worker.note_once(line)
        else:
            time.sleep(_POLL_S)
            run.refresh()
            return True
    return len(run.plan.fragments) > known


def _owes(worker: Worker) -> bool:
    state = State(worker.run)
    return any(state.owed(unit) for unit in worker.units(KINDS))


def _require_done(worker: Worker, kinds: Sequence[Kind]) -> None:
    """Raise for units that are owed and can't be done: what they wait for is not there."""
    run = worker.run
    state = State(run, partial="generate" not in kinds)
    waiting = [
        (unit, what)
        for unit in worker.units(kinds)
        if state.owed(unit) and (what := state.blocker(unit)) is not None
    ]
    windows = [what for unit, what in waiting if isinstance(unit, WindowUnit)]
    if windows:
        raise StoreError(
            f"Rows wait for what is not fitted yet: {counted(len(windows), 'window')}, the first "
            f"for {windows[0]}.",
            hint=f"Run `trimtab fit {run.dir}` first, or `trimtab resume {run.dir}` for all.",
        )
    if waiting and "score" in kinds:
        unit, what = waiting[0]
        if "generate" not in kinds and isinstance(unit, FitUnit):
            worker.progress.note(f"note: {unit.name} waits for {what}")
            return
        raise JudgeError(
            f"{owner_of(unit)} waits for {what}.",
            hint=f"Run `trimtab resume {run.dir}` when they can be made.",
        )
