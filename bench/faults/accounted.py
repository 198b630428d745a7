"""The faults of ``slurm``, on a cluster that keeps accounts of its jobs in a database."""

import random
from pathlib import Path

from faults import slurm
from faults.ground import Ground, Outcome


def play(ground: Ground, rng: random.Random, number: int, folder: Path) -> Outcome:
    """Disturb a run; none of its rows may be lost, doubled or different in the end."""
    return slurm.play(ground, rng, number, folder, accounts=True)
