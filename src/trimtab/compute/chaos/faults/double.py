"""Workers that are started twice on one run, of which one may be killed."""

from __future__ import annotations

import random
from pathlib import Path

from pydantic import BaseModel, Field

from trimtab.compute.chaos.faults.base import Fault, Played, disturb
from trimtab.compute.chaos.scene import Scene
from trimtab.compute.chaos.ways.base import Way

__all__ = ["Double"]


class Double(Fault):
    """A command that is given twice, as by mistake."""

    title = "workers started twice at once"

    class Config(BaseModel):
        """How often one of them is killed besides."""

        killed: float = Field(default=0.5, ge=0, le=1)

    def __init__(self, config: Config) -> None:
        """Take the settings."""
        self._killed = config.killed

    def play(self, scene: Scene, way: Way, rng: random.Random, run: Path) -> Played:
        """Start workers twice; it hits where both are at work at once."""
        first, second = way.start_twice(run)
        hit = first.runs() and second.runs()
        victim, killed = rng.choice((first, second)), False
        if rng.random() < self._killed:
            killed = disturb(scene, victim, rng, run, lambda: victim.kill(rng))
        problems = [
            line
            for work in (first, second)
            for line in work.wait(disturbed=killed and work is victim)
        ]
        return Played(1, int(hit), tuple(problems))
