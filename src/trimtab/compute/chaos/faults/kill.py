"""kill -9 of a worker at random moments, once or several times."""

from __future__ import annotations

import random
from pathlib import Path

from pydantic import BaseModel, Field

from trimtab.compute.chaos.faults.base import Fault, Played, disturb_often
from trimtab.compute.chaos.scene import Scene
from trimtab.compute.chaos.ways.base import Way

__all__ = ["Kill"]


class Kill(Fault):
    """SIGKILL, which no process can catch: as from a memory limit, or a power cut."""

    title = "kill -9 of a worker"

    class Config(BaseModel):
        """Most kills of one run."""

        most: int = Field(default=2, ge=1)

    def __init__(self, config: Config) -> None:
        """Take the settings."""
        self._most = config.most

    def play(self, scene: Scene, way: Way, rng: random.Random, run: Path) -> Played:
        """Start workers, kill one, and start again."""
        return disturb_often(scene, way, rng, run, self._most, lambda work: work.kill(rng))
