"""What a run should hold and does not: what was there and is gone, and what is not there yet.

That a row or an artifact was there is known from what could not be without it: a note that nothing
was owed (``finished.json``), a fragment that the plan grew by when all before was done, the checks
of a phase that had ended, scores of a completion, completions under an artifact. All else that is
missing is not yet made, as far as a run can tell.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from trimtab.core.counted import counted
from trimtab.core.plan import Cell, Fragment, JudgePlan
from trimtab.core.presence import RowKey
from trimtab.runs.store.create import file_stem
from trimtab.runs.store.finished import Noted, noted
from trimtab.runs.store.run import Run
from trimtab.runs.work import checks
from trimtab.runs.work.state import State
from trimtab.runs.work.units import cells_of

_NAMED = 3
"""Rows of a folder that are named; the others are counted."""


@dataclass
class Missing:
    """What is missing.

    Attributes:
        gone: What was there, a line each.
        not_yet: What of the plan is not known to have been there, by name.
    """

    gone: list[str] = field(default_factory=list)
    not_yet: dict[str, int] = field(default_factory=dict)

    def later(self, what: str, number: int) -> None:
        """Count what is not there yet."""
        if number:
            self.not_yet[what] = self.not_yet.get(what, 0) + number


def missing(run: Run) -> Missing:
    """Return what of the plan is not there; raise StoreError if a file can't be read."""
    found, state = Missing(), State(run)
    last = len(run.plan.fragments) - 1
    done, phases = noted(run.dir), checks.phases_ended(run)
    for fragment in run.plan.fragments:
        # a plan grows when nothing is owed; of its last fragment the checks tell, if it is the one
        before = fragment.number < last or _covers(done, fragment)
        ended = frozenset(phases) if last == 0 else frozenset[str]()
        _look_at_fits(run, state, fragment, before, "fit" in ended, found)
        for cell in fragment.cells:
            _look_at_rows(run, state, cell, before or "generate" in ended, found)
    for judge in run.judges():
        for cell in cells_of(run, judge):
            _look_at_scores(run, state, judge, cell, done, found)
    return found


def _covers(done: Noted | None, fragment: Fragment) -> bool:
    return done is not None and (done.fragments is None or fragment.number < done.fragments)


def _look_at_fits(
    run: Run, state: State, part: Fragment, made: bool, fitted: bool, found: Missing
) -> None:
    used = {
        key
        for cell in run.plan.cells
        if any(index >= cell.reused for _, _, index in state.completions(cell.key))
        for key in cell.artifacts.values()
    }
    used |= {
        key
        for judge in run.judges()
        if any(state.scores(judge.key, cell.key) for cell in cells_of(run, judge))
        for key in judge.artifacts.values()
    }
    for fit in part.fits:
        for key in dict.fromkeys(fit.artifacts.values()):
            if state.has_artifact(key):
                continue
            # a fit that reads completions does not belong to the phase of fits
            if key in used or made or (fitted and not fit.completions):
                found.gone.append(f"artifacts/{file_stem(key)} is gone")
            else:
                found.later("artifact", 1)


def _look_at_rows(run: Run, state: State, cell: Cell, made: bool, found: Missing) -> None:
    owed = [(cell.key, *row) for row in run.owed(cell)]
    if not owed:
        return
    judges = [judge for judge in run.judges() if judge.scores(cell)]
    scored = frozenset[RowKey]().union(*(state.scores(j.key, cell.key) for j in judges))
    gone = owed if made else [row for row in owed if row in scored]
    place = f"completions/{file_stem(cell.key)}"
    _tell(place, f"{cell.condition}, {cell.measure}", gone, found)
    found.later("completion", len(owed) - len(gone))


def _look_at_scores(
    run: Run, state: State, judge: JudgePlan, cell: Cell, done: Noted | None, found: Missing
) -> None:
    number = next(part.number for part in run.plan.fragments if cell in part.cells)
    planned = judge.key in {known.key for known in run.plan.judges}
    known = planned or (done is not None and judge.key in done.judges)
    covered = number < len(run.plan.fragments) - 1 or (
        done is not None and (done.fragments is None or number < done.fragments)
    )
    there = state.completions(cell.key)
    if known and covered:
        rows = there.union((cell.key, *row) for row in run.owed(cell))
        owed = sorted(rows - state.scores(judge.key, cell.key))
        place = f"scores/{file_stem(judge.key)}/{file_stem(cell.key)}"
        _tell(place, f"{cell.condition}, {cell.measure}", owed, found)
    else:
        found.later("score", len(there - state.scores(judge.key, cell.key)))


def _tell(place: str, what: str, rows: list[RowKey], found: Missing) -> None:
    if not rows:
        return
    named = ", ".join(f"{id}#{index}" for _, id, index in rows[:_NAMED])
    more = f" and {len(rows) - _NAMED} more" if len(rows) > _NAMED else ""
    are = "is" if len(rows) == 1 else "are"
    found.gone.append(f"{place} ({what}): {counted(len(rows), 'row')} {are} gone: {named}{more}")
