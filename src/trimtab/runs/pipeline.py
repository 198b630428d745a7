"""The phases in order; each reads only what earlier ones wrote, and can be run again any time."""

from __future__ import annotations

from collections.abc import Sequence

from trimtab.runs import gates
from trimtab.runs.engines import EnginePool
from trimtab.runs.fit import fit
from trimtab.runs.generate import generate
from trimtab.runs.progress import Progress
from trimtab.runs.score import score
from trimtab.runs.store import Run

PHASES = ("fit", "generate", "score")


def run_phases(run: Run, phases: Sequence[str], attempt: int, progress: Progress) -> None:
    """Run ``phases`` (of ``PHASES``) on ``run``, sharing loaded models, with a gate after each.

    Raises:
        NonFiniteError: Activations or logits are NaN or infinite; finished rows are kept.
        LeaseHeldError: Another process works on this part of the run.
        JudgeError: A judge failed; all others have scored.
    """
    pool = EnginePool()
    gates.after_plan(run)
    if "fit" in phases:
        fit(run, pool, progress)
        gates.after_fit(run)
    if "generate" in phases:
        generate(run, pool, attempt, progress)
        gates.after_generate(run)
    if "score" in phases:
        try:
            score(run, pool, attempt, progress)
        finally:
            gates.after_score(run)
