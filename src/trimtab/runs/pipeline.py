"""The phases in order; each reads only what earlier ones wrote, and can be run again any time."""

from __future__ import annotations

from collections.abc import Sequence

from trimtab.runs import gates
from trimtab.runs.engines import EnginePool
from trimtab.runs.fit import fit
from trimtab.runs.generate import generate
from trimtab.runs.load import LoadMeter, load_file
from trimtab.runs.progress import Progress
from trimtab.runs.score import score
from trimtab.runs.store import Run

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
    gates.after_plan(run)
    with LoadMeter(progress, attempt, load_file(run.dir, attempt)) as meter:
        pool = EnginePool(threads, meter.using)
        if "fit" in phases:
            fit(run, pool, meter)
            gates.after_fit(run)
        if "generate" in phases:
            generate(run, pool, attempt, meter)
            gates.after_generate(run)
        if "score" in phases:
            try:
                score(run, pool, attempt, meter)
            finally:
                gates.after_score(run)
