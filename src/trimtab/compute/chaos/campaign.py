"""Faults of several kinds, one after the other, each on a run of its own."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from trimtab.compute.chaos.comparison import Losses, compare
from trimtab.compute.chaos.faults.base import FAULTS
from trimtab.compute.chaos.scene import Scene
from trimtab.compute.chaos.ways.base import Way


@dataclass(frozen=True)
class Instance:
    """One run that a fault was played on.

    Attributes:
        fault: Name of the kind.
        number: Which of its kind, from 0 on.
        tries: How often the fault was tried on this run.
        hits: How often it hit something.
        losses: In what the run differs in the end.
        left: Processes or jobs that live still; None where nothing tells.
        problems: What went wrong with a command, a line each.
    """

    fault: str
    number: int
    tries: int
    hits: int
    losses: Losses
    left: int | None
    problems: tuple[str, ...]

    def lines(self) -> list[str]:
        """Return what did not hold, a line each."""
        left = [f"left over: {self.left}"] if self.left else []
        return [*self.losses.lines(), *left, *self.problems]


def play(scene: Scene, way: Way, fault: str, seed: int, number: int) -> Instance:
    """Play one instance, which seed, kind and number determine; keep its run if it did not hold.

    Whatever ends this ends what was started.
    """
    rng = random.Random(f"{seed} {fault} {number}")
    run = scene.copy(f"{fault}-{number:04d}")
    try:
        played = FAULTS.build(fault, {}).play(scene, way, rng, run)
        problems = (*played.problems, *way.finish(run))
        left = way.left(run)
    finally:
        way.end(run)
    losses = compare(run, scene.whole)
    found = Instance(fault, number, played.tries, played.hits, losses, left, problems)
    if not found.lines():
        shutil.rmtree(run)
    return found


def campaign(
    scene: Scene,
    way: Way,
    faults: Sequence[str],
    count: int,
    seed: int,
    tell: Callable[[Instance], None],
) -> None:
    """Play ``count`` instances of each kind, and tell of each when it has ended."""
    for number in range(count):
        for fault in faults:
            tell(play(scene, way, fault, seed, number))
