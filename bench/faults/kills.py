"""kill -9 at random moments of every phase, one to nine times, then go on.

A run is worked on in each of the ways there are on one machine, drawn anew for every start: by one
process, by a worker, and by a pool of two workers, whose parent is killed.
"""

import random
import signal
from collections.abc import Callable
from pathlib import Path

from faults.ground import Ground, Outcome, doubled, is_planned
from faults.moments import PHASES, moment, send

_WAYS: dict[str, Callable[[Ground, Path], list[str]]] = {
    "run": lambda ground, run: ground.start(run),
    "worker": lambda ground, run: ["work", str(run)] if is_planned(run) else ground.start(run),
    "pool": lambda ground, run: [*ground.start(run), "--workers", "2"],
}


def play(ground: Ground, rng: random.Random, number: int, folder: Path) -> Outcome:
    """Kill a run; it must go on as if nothing had been."""
    run = folder / "run"
    first = PHASES[number % len(PHASES)]
    phases = sorted([first, *rng.choices(PHASES, k=rng.randrange(9))], key=PHASES.index)
    hit = []
    for phase in phases:
        way = rng.choice(list(_WAYS))
        command = ground.command(_WAYS[way](ground, run))
        if send(command, signal.SIGKILL, moment(rng, ground, run, phase)):
            hit.append(f"{way} during {phase}")
        command.process.join()
    problems = ground.resumed(run)
    what = " + ".join(hit) or "nothing was hit"
    return Outcome(what, problems + (doubled(run) if not problems else []))
