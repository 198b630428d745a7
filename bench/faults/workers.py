"""Two workers on one run, of which one is killed or stopped at a random moment."""

import random
import signal
from pathlib import Path

from faults.ground import Ground, Outcome, doubled, ended, wrong
from faults.moments import moment, send

_PHASES = ("fit", "generate", "score", "report")
_BY = (signal.SIGKILL, signal.SIGTERM)


def play(ground: Ground, rng: random.Random, number: int, folder: Path) -> Outcome:
    """The other one must finish the run alone, or together with who comes back."""
    run = folder / "run"
    phase, by = _PHASES[number % 4], _BY[number // 4 % 2]
    what = f"{by.name} during {phase}"
    done = ground.run(["plan", ground.config, "--out", run])
    if problems := wrong(done, (0,)):
        return Outcome(what, problems)
    workers = [ground.command(["work", run]) for _ in range(2)]
    hit = send(workers[rng.randrange(2)], by, moment(rng, ground, run, phase))
    for worker in workers:
        done = ended(worker)
        if done.code != -9 or not hit:
            problems += wrong(done, (0, 143) if hit else (0,))
    # who was killed last may have left the report to nobody
    problems = problems or ground.resumed(run)
    return Outcome(what, problems + (doubled(run) if not problems else []))
