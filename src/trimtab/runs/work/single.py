"""Units of a run done one at a time, as somebody else hands them out; the model stays loaded."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType

from trimtab.core.errors import JudgeError, JudgeMemoryError, StoreError
from trimtab.core.spec import ModelSpec
from trimtab.runs.store.claims import holder_of
from trimtab.runs.usage.meter import UsageMeter, usage_file
from trimtab.runs.work.engines import EnginePool
from trimtab.runs.work.failures import Failures
from trimtab.runs.work.loop import attempt
from trimtab.runs.work.phases import Job
from trimtab.runs.work.units import KINDS, Unit
from trimtab.runs.work.worker import Worker


@dataclass(frozen=True)
class Done:
    """How a unit ended.

    Attributes:
        held: Who holds it, if it was another worker's.
        failed: What failed, if its judge did.
        judge: Whether the judge failed as such, and not on some of its items.
    """

    held: str | None = None
    failed: str | None = None
    judge: bool = False


class UnitWorker:
    """Does units of one run by their names; close it, or use it in a ``with`` block."""

    def __init__(self, job: Job) -> None:
        """Load nothing yet."""
        self._run = job.run
        self._opened = ExitStack()
        meter = self._opened.enter_context(
            UsageMeter(job.progress, job.attempt, usage_file(job.run.dir, job.attempt))
        )
        self._worker = self._opened.enter_context(
            Worker(job.run, job.attempt, meter, job.threads, job.judges)
        )

        def using(spec: ModelSpec, threads: int) -> None:
            meter.using(spec, threads)

        self._pool = EnginePool(using=using, telling=meter.note)

    def do(self, name: str) -> Done:
        """Do what a unit owes, unless another worker does it.

        Raises:
            StoreError: The run has no such unit.
            JudgeMemoryError: Memory was short for its judge.
            TrimtabError: As ``loop.work``, of units other than scores.
        """
        unit, every = self._find(name)
        failures = Failures()
        anything = attempt(self._worker, unit, every, self._pool, failures, [self._worker])
        if anything is None:
            return Done(held=holder_of(self._run.dir, name) or "held by another worker just now")
        try:
            failures.require_none()
        except JudgeMemoryError:
            raise  # whoever hands out units may have more of it elsewhere
        except JudgeError as error:
            return Done(failed=error.message, judge=failures.skips_judge(self._run.dir, unit))
        return Done()

    def _find(self, name: str) -> tuple[Unit, list[Unit]]:
        """Return a unit of a name, and all units; a plan that has grown is read again."""
        for known in (True, False):
            if not known:
                self._run.refresh()
            every = self._worker.units(KINDS)
            for unit in every:
                if unit.name == name:
                    return unit, every
        raise StoreError(
            f"No unit of {self._run.dir} is called {name}.",
            hint="The folder must be the same one on all machines.",
        )

    def __enter__(self) -> UnitWorker:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        """Close the files, and note what was used."""
        self._worker.leave()
        self._opened.__exit__(kind, error, at)
