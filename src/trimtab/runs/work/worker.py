"""One worker at one run: it keeps open files and prepared cells from one unit to the next."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType

from trimtab.core import stopping
from trimtab.core.errors import NonFiniteError, StoreError
from trimtab.core.plan import Cell
from trimtab.core.presence import RowKey
from trimtab.core.types import Completion
from trimtab.runs.store.claims import Claim
from trimtab.runs.store.run import Run
from trimtab.runs.usage.progress import Progress
from trimtab.runs.work.engines import EnginePool
from trimtab.runs.work.fit import make_artifacts, write_strengths
from trimtab.runs.work.generate import (
    Prepared,
    broken_rows,
    generate_window,
    prepare,
    stamped,
    without_cells,
)
from trimtab.runs.work.score import PreparedJudge, prepare_judge, score_window
from trimtab.runs.work.segments import Segments
from trimtab.runs.work.selection import serving
from trimtab.runs.work.state import State, rows_of
from trimtab.runs.work.units import FitUnit, Kind, ScoreUnit, Unit, WindowUnit, phase_of, units


class Worker:
    """Executes units of one run under one attempt; close it, or use it in a ``with`` block.

    Attributes:
        run: The run.
        attempt: Number of the attempt: it writes segments of its own.
        progress: Told what happens.
        threads: Threads of torch for this run's units; None leaves them be.
        judges: Keys of the judges that score; None is all.
    """

    def __init__(
        self,
        run: Run,
        attempt: int,
        progress: Progress,
        threads: int | None = None,
        judges: frozenset[str] | None = None,
    ) -> None:
        """Open nothing yet."""
        self.run, self.attempt, self.progress, self.threads = run, attempt, progress, threads
        self.judges = judges
        self._segments = Segments(run, attempt)
        self._prepared: dict[str, Prepared] = {}
        self._judge: PreparedJudge | None = None
        self._phase: str | None = None
        self._waiting: str | None = None
        self._noted: set[str] = set()
        self._units: tuple[object, list[Unit]] | None = None

    def units(self, kinds: Sequence[Kind]) -> list[Unit]:
        """Return every unit of ``kinds``; made anew only where plan or judges have grown."""
        judges = tuple(judge.key for judge in self.run.judges())
        known = (len(self.run.plan.fragments), judges, tuple(kinds))
        if self._units is None or self._units[0] != known:
            every = units(self.run, kinds)
            mine = every if self.judges is None else serving(every, self.run, self.judges)
            self._units = (known, mine)
        return self._units[1]

    def execute(self, unit: Unit, pool: EnginePool, claim: Claim, units: Sequence[Unit]) -> bool:
        """Do what ``unit`` owes, and return whether it owed anything; each row is on the disk then.

        Args:
            unit: A unit that is ready.
            pool: Loaded models.
            claim: Of this unit; a row is written only while it is held.
            units: All units of the work, for the progress bar.
        """
        missing = State(self.run, partial=True).owed(unit)
        if not missing:
            return False
        self._enter(unit, units)
        pool.threads = self.threads
        if unit.model_identity is not None:
            self._keep_only(pool, unit.model_identity)
        if isinstance(unit, FitUnit):
            claim.check()
            try:
                make_artifacts(self.run, unit.plan, pool, claim.check)
            except StoreError:
                claim.check()  # what another worker has removed looks like a broken disk
                raise
            self.progress.advance(len(missing), 0)
        elif isinstance(unit, WindowUnit):
            self._generate(unit, set(missing), pool, claim)
        else:
            self._score(unit, missing, pool, claim)
        return True

    def waits_for(self, what: str) -> None:
        """Tell what is waited for, once."""
        if what != self._waiting:
            self._waiting = what
            self.progress.note(f"waiting: {what}")

    def note_once(self, line: str) -> None:
        """Note a line unless it was noted before."""
        if line not in self._noted:
            self._noted.add(line)
            self.progress.note(f"note: {line}")

    def rest(self) -> None:
        """Let another worker of this process go on: show no phase, and keep no model loaded."""
        self.leave()
        self._prepared, self._judge = {}, None

    def leave(self) -> None:
        """End the phase that the progress shows, if any."""
        if self._phase is not None:
            self.progress.finish()
            self._phase = None

    def _enter(self, unit: Unit, units: Sequence[Unit]) -> None:
        """Begin the phase of ``unit`` on the progress, unless it has begun."""
        phase = phase_of(unit)
        if phase == self._phase:
            return
        self.leave()
        state = State(self.run)
        total, done = rows_of(state, [other for other in units if phase_of(other) == phase])
        self.progress.start(phase, total, done)
        self._phase = phase

    def _generate(
        self, unit: WindowUnit, missing: set[RowKey], pool: EnginePool, claim: Claim
    ) -> None:
        cells = {cell.key: cell for cell in self.run.plan.cells}
        for key in unit.cells:
            if key not in self._prepared:
                self._prepared[key] = prepare(self.run, cells[key], pool)
        broken: set[str] = set()
        while True:
            try:
                for row in generate_window(self._prepared, without_cells(unit, broken), missing):
                    self._write(row, claim)
                    missing.discard(row.key)
            except NonFiniteError as error:
                failed = cells.get(error.row[0]) if isinstance(error.row, tuple) else None
                if failed is None or not _may_break(failed):
                    raise
                broken.add(failed.key)
                self.progress.note(f"{failed.condition} failed: {error.message}")
                self._write_broken(failed.key, unit, missing, error.message, claim)
            else:
                return

    def _write_broken(
        self, cell: str, unit: WindowUnit, missing: set[RowKey], problem: str, claim: Claim
    ) -> None:
        keys = [row for row in unit.rows if row[0] == cell and row in missing]
        for row in broken_rows(self._prepared[cell], keys, problem):
            self._write(row, claim)
            missing.discard(row.key)

    def _write(self, row: Completion, claim: Claim) -> None:
        self._segments.write(stamped(row, self.attempt), claim.check)
        self.progress.advance(1, row.num_tokens or row.num_prompt_tokens)
        stopping.again()

    def _score(
        self, unit: ScoreUnit, missing: Sequence[RowKey], pool: EnginePool, claim: Claim
    ) -> None:
        if self._judge is None or self._judge.plan.key != unit.judge.key:
            self._judge = None
            self._judge = prepare_judge(self.run, unit.judge, pool)
        try:
            for row in score_window(self.run, self._judge, unit, missing, self.attempt):
                self._segments.write(row, claim.check)
                self.progress.advance(1, 0)
                stopping.again()
        finally:
            self._segments.sync()

    def _keep_only(self, pool: EnginePool, identity: str) -> None:
        """Let go of every model but one, and of what was prepared on others."""
        if pool.loaded - {identity}:
            self._prepared = {}
            self._judge = None
            pool.keep_only({identity})

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        """Close the files; what was told of strengths is written down."""
        self._segments.close()
        write_strengths(self.run)


def _may_break(cell: Cell) -> bool:
    """Return whether a cell may fail alone: one of many that something is chosen among."""
    return cell.purpose == "tuning" and cell.role == "treatment"
