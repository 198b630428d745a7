"""Random moments of a run's phases, by what is on the disk."""

import os
import random
import time
from collections.abc import Callable
from pathlib import Path

from cli_process import Command

from faults.ground import Ground

PHASES = ("plan", "fit", "generate", "score", "report")


def lines(run: Path, pattern: str) -> int:
    """Return how many rows are there."""
    return sum(path.read_bytes().count(b"\n") for path in run.glob(pattern))


def moment(rng: random.Random, ground: Ground, run: Path, phase: str) -> Callable[[], bool]:
    """Return what is true from a random moment of ``phase`` on."""
    if phase in ("generate", "score"):
        pattern = "completions/*/*.jsonl" if phase == "generate" else "scores/*/*/*.jsonl"
        wanted = rng.randint(1, lines(ground.whole, pattern))
        return lambda: lines(run, pattern) >= wanted
    begun = {
        "plan": run.is_dir,
        "fit": (run / "attempts").is_dir,
        "report": lambda: any(run.glob(".report*.tmp")),
    }[phase]
    fitting = max(0.5, ground.seconds / 2)
    delay = rng.uniform(0, {"plan": 0.03, "fit": fitting, "report": 1.0}[phase])
    since: list[float] = []

    def reached() -> bool:
        if not since and begun():
            since.append(time.monotonic())
        return bool(since) and time.monotonic() - since[0] >= delay

    return reached


def send(command: Command, number: int, when: Callable[[], bool]) -> bool:
    """Send a signal when the moment has come; return whether the process still ran then."""
    while command.process.exitcode is None:
        if when():
            assert command.process.pid is not None
            os.kill(command.process.pid, number)
            return True
        time.sleep(0.001)
    return False
