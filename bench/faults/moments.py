"""Random moments of a run's phases, and signals that are sent then."""

import os
import random
from collections.abc import Callable
from pathlib import Path

from cli_process import Command

from faults.ground import Ground
from trimtab.compute.chaos import moments

PHASES = moments.PHASES


def moment(rng: random.Random, ground: Ground, run: Path, phase: str) -> Callable[[], bool]:
    """Return what is true from a random moment of ``phase`` on."""
    return moments.moment(rng, run, ground.whole, ground.seconds, phase)


def send(command: Command, number: int, when: Callable[[], bool]) -> bool:
    """Send a signal when the moment has come; return whether the process still ran then."""
    process = command.process
    if not moments.reach(when, lambda: process.exitcode is None):
        return False
    assert process.pid is not None
    os.kill(process.pid, number)
    return True
