"""The phases of one or several runs under an attempt each: work, what it cost, honesty checks."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from trimtab.core.spec import ModelSpec
from trimtab.runs.store.run import Run
from trimtab.runs.usage.meter import UsageMeter, usage_file
from trimtab.runs.usage.progress import Progress
from trimtab.runs.work import checks
from trimtab.runs.work.engines import EnginePool
from trimtab.runs.work.loop import Grow, Mirror, never, nowhere, work
from trimtab.runs.work.state import State
from trimtab.runs.work.stay import Stay
from trimtab.runs.work.units import KINDS, Kind, units
from trimtab.runs.work.worker import Worker


@dataclass(frozen=True)
class Job:
    """A run that is worked on.

    Attributes:
        run: The run.
        attempt: Number of the attempt; what each phase cost is recorded in its folder.
        progress: Told what happens.
        threads: Threads of torch for this run; None leaves them be.
        judges: Keys of the judges that score; None is all.
    """

    run: Run
    attempt: int
    progress: Progress
    threads: int | None = None
    judges: frozenset[str] | None = None


def run_phases(
    jobs: Sequence[Job],
    kinds: Sequence[Kind] = KINDS,
    grow: Grow = never,
    mirror: Mirror = nowhere,
    stay: Stay | None = None,
) -> str | None:
    """Do what ``jobs`` owe in the phases ``kinds``, sharing loaded models, with checks after each.

    ``grow``, ``mirror``, ``stay`` and what is returned are those of ``loop.work``.

    Raises:
        NonFiniteError: Activations or logits are NaN or infinite; finished rows are kept.
        StoreError: What rows need is not fitted, or the run directory can't be written.
        JudgeError: A judge failed; all others have scored.
    """
    for job in jobs:
        checks.after_plan(job.run)
        if stay is None and "score" in kinds and "generate" not in kinds:
            _tell_missing(job)
    with ExitStack() as opened:
        meters = [
            opened.enter_context(
                UsageMeter(job.progress, job.attempt, usage_file(job.run.dir, job.attempt))
            )
            for job in jobs
        ]

        def using(spec: ModelSpec, threads: int) -> None:
            for meter in meters:  # one that measures nothing now takes no note
                meter.using(spec, threads)

        workers = [
            opened.enter_context(Worker(job.run, job.attempt, meter, job.threads, job.judges))
            for job, meter in zip(jobs, meters, strict=True)
        ]
        try:
            pool = EnginePool(using=using, telling=jobs[0].progress.note)
            return work(workers, pool, kinds, grow, mirror, stay)
        finally:
            for job in jobs:
                record_checks(job.run, kinds)


def _tell_missing(job: Job) -> None:
    """Say what can't be scored yet: an early score is no mistake, and must not look like all."""
    missing = sum(len(job.run.owed(cell)) for cell in job.run.plan.cells)
    if missing:
        job.progress.note(
            f"note: {missing} completions are not there yet and can't be scored; "
            f"`trimtab generate {job.run.dir}` makes them"
        )


def record_checks(run: Run, kinds: Sequence[Kind]) -> None:
    """Record the checks of the phases that are done; of scores as they stand."""
    state = State(run)
    open_kinds = {unit.kind for unit in units(run, kinds) if state.owed(unit)}
    if "fit" in kinds and "fit" not in open_kinds:
        checks.after_fit(run)
    if "generate" in kinds and "generate" not in open_kinds:
        checks.after_generate(run)
    if "score" in kinds and (kinds == ("score",) or "generate" not in open_kinds):
        checks.after_score(run)
