"""Random moments of a run's phases, by what is on the disk."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path

PHASES = ("plan", "fit", "generate", "score", "report")
_ROWS = {"generate": "completions/*/*.jsonl", "score": "scores/*/*/*.jsonl"}
_LEAST_FIT_S = 0.5
_PLAN_S = 0.03
_REPORT_S = 1.0


def num_rows(run: Path, phase: str) -> int:
    """Return how many rows of ``generate`` or ``score`` are there."""
    return sum(path.read_bytes().count(b"\n") for path in run.glob(_ROWS[phase]))


def phases_of(whole: Path) -> tuple[str, ...]:
    """Return the phases after planning in which a finished run had something to do."""
    fits = (whole / "artifacts").is_dir()
    return tuple(
        phase
        for phase in PHASES[1:]
        if (phase != "fit" or fits) and (phase not in _ROWS or num_rows(whole, phase))
    )


def moment(
    rng: random.Random, run: Path, whole: Path, seconds: float, phase: str
) -> Callable[[], bool]:
    """Return what is true from a random moment of a phase on.

    Args:
        rng: Draws the moment.
        run: The run in which it is awaited.
        whole: The same run, finished and undisturbed.
        seconds: How long that one took.
        phase: One of ``PHASES``.
    """
    if phase in _ROWS:
        wanted = rng.randint(1, num_rows(whole, phase))
        return lambda: num_rows(run, phase) >= wanted
    begun: Callable[[], bool] = {
        "plan": run.is_dir,
        "fit": (run / "attempts").is_dir,
        "report": lambda: any(run.glob(".report*.tmp")),
    }[phase]
    longest = {"plan": _PLAN_S, "fit": max(_LEAST_FIT_S, seconds / 2), "report": _REPORT_S}
    delay = rng.uniform(0, longest[phase])
    since: list[float] = []

    def reached() -> bool:
        if not since and begun():
            since.append(time.monotonic())
        return bool(since) and time.monotonic() - since[0] >= delay

    return reached


def reach(when: Callable[[], bool], goes_on: Callable[[], bool], pause_s: float = 0.001) -> bool:
    """Wait for a moment; return whether it came while ``goes_on`` held."""
    while goes_on():
        if when():
            return True
        time.sleep(pause_s)
    return False
