"""The phases in order; each reads only what earlier ones wrote, and can be run again any time."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace

from trimtab.core.spec import ModelSpec
from trimtab.runs.store.run import Run
from trimtab.runs.usage.meter import UsageMeter, usage_file
from trimtab.runs.usage.progress import Progress
from trimtab.runs.work import checks
from trimtab.runs.work.engines import EnginePool
from trimtab.runs.work.fit import fit
from trimtab.runs.work.generate import generate
from trimtab.runs.work.score import ScoreJob, score_runs

PHASES = ("fit", "generate", "score")


def run_phases(
    run: Run,
    phases: Sequence[str],
    attempt: int,
    progress: Progress,
    threads: int | None = None,
) -> None:
    """Run ``phases`` (of ``PHASES``) on ``run``, sharing loaded models, with a gate after each.

    Args:
        run: The run.
        phases: Which, in their order.
        attempt: Number of the attempt; what each phase cost is recorded in its folder.
        progress: Told what happens.
        threads: Threads of torch; None leaves them be.

    Raises:
        NonFiniteError: Activations or logits are NaN or infinite; finished rows are kept.
        LeaseHeldError: Another process works on this part of the run.
        JudgeError: A judge failed; all others have scored.
    """
    checks.after_plan(run)
    with UsageMeter(progress, attempt, usage_file(run.dir, attempt)) as meter:
        pool = EnginePool(threads, meter.using)
        if "fit" in phases:
            fit(run, pool, meter)
            checks.after_fit(run)
        if "generate" in phases:
            generate(run, pool, attempt, meter)
            checks.after_generate(run)
        if "score" in phases:
            try:
                score_runs([ScoreJob(run, attempt, meter, threads)], pool)
            finally:
                checks.after_score(run)


def score_several(jobs: Sequence[ScoreJob]) -> None:
    """Score what several runs owe, sharing loaded models, with each run's gates after it.

    What every judge cost is recorded in the folder of the run's own attempt.

    Raises:
        LeaseHeldError: Another process scores with the same judge.
        JudgeError: A judge failed; all others have scored.
    """
    with ExitStack() as open_meters:
        meters = [
            open_meters.enter_context(
                UsageMeter(job.progress, job.attempt, usage_file(job.run.dir, job.attempt))
            )
            for job in jobs
        ]

        def using(spec: ModelSpec, threads: int) -> None:
            for meter in meters:  # one that measures nothing now takes no note
                meter.using(spec, threads)

        measured = [replace(job, progress=meter) for job, meter in zip(jobs, meters, strict=True)]
        try:
            score_runs(measured, EnginePool(using=using))
        finally:
            for job in jobs:
                checks.after_score(job.run)
