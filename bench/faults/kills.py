"""kill -9 at random moments of every phase, one to three times, then go on."""

import random
import signal
from pathlib import Path

from faults.ground import Ground, Outcome, doubled
from faults.moments import PHASES, moment, send


def play(ground: Ground, rng: random.Random, number: int, folder: Path) -> Outcome:
    """Kill a run; it must go on as if nothing had been."""
    run = folder / "run"
    first = PHASES[number % len(PHASES)]
    phases = sorted([first, *rng.choices(PHASES, k=rng.randrange(3))], key=PHASES.index)
    hit = []
    for phase in phases:
        command = ground.command(ground.start(run))
        if send(command, signal.SIGKILL, moment(rng, ground, run, phase)):
            hit.append(phase)
        command.process.join()
    problems = ground.resumed(run)
    return Outcome(f"during {first}", problems + (doubled(run) if not problems else []))
