"""A worker that is told to end, as by a scheduler that needs its place."""

from __future__ import annotations

import random
from pathlib import Path

from pydantic import BaseModel, Field

from trimtab.compute.chaos.faults.base import Fault, Played, disturb_often
from trimtab.compute.chaos.scene import Scene
from trimtab.compute.chaos.ways.base import Way

__all__ = ["Preempt"]


class Preempt(Fault):
    """SIGTERM, SIGUSR2 or SIGINT, or what the way has in their place."""

    title = "a worker is told to end"

    class Config(BaseModel):
        """Most preemptions of one run."""

        most: int = Field(default=2, ge=1)

    def __init__(self, config: Config) -> None:
        """Take the settings."""
        self._most = config.most

    def play(self, scene: Scene, way: Way, rng: random.Random, run: Path) -> Played:
        """Start workers, preempt one, and start again."""
        return disturb_often(scene, way, rng, run, self._most, lambda work: work.preempt(rng))
