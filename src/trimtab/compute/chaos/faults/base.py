"""What a kind of fault is, and the registry of them."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar

from trimtab.compute.chaos.moments import reach
from trimtab.compute.chaos.scene import Scene
from trimtab.compute.chaos.ways.base import Way, Work
from trimtab.core.folder import Folder


@dataclass(frozen=True)
class Played:
    """How a fault went.

    Attributes:
        tries: How often it was tried on the run.
        hits: How often it hit something; the work may have ended before.
        problems: What went wrong with a command, a line each.
    """

    tries: int
    hits: int
    problems: tuple[str, ...] = ()


class Fault(ABC):
    """A kind of fault."""

    title: ClassVar[str]
    """What is done, in a few words."""

    @abstractmethod
    def play(self, scene: Scene, way: Way, rng: random.Random, run: Path) -> Played:
        """Play it on a run that is planned, and wait until what was disturbed has ended."""


FAULTS: Folder[Fault] = Folder("compute/chaos/faults", "fault")


def disturb(
    scene: Scene, work: Work, rng: random.Random, run: Path, act: Callable[[], bool]
) -> bool:
    """Act at a random moment of a run, if it comes; return whether that hit something."""
    return reach(scene.moment(rng, run), work.runs, work.pause_s) and act()


def disturb_often(
    scene: Scene,
    way: Way,
    rng: random.Random,
    run: Path,
    most: int,
    act: Callable[[Work], bool],
) -> Played:
    """Start workers, act on them at a random moment and start again, up to ``most`` times."""
    tries, hits, problems = rng.randint(1, most), 0, []
    for _ in range(tries):
        work = way.start(run)
        hit = disturb(scene, work, rng, run, partial(act, work))
        problems += work.wait(disturbed=hit)
        hits += hit
    return Played(tries, hits, tuple(problems))
