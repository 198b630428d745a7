"""A disk that is full: no file may grow beyond a limit, as under a quota."""

from __future__ import annotations

import random
from pathlib import Path

from pydantic import BaseModel, Field

from trimtab.compute.chaos.faults.base import Fault, Played
from trimtab.compute.chaos.scene import Scene
from trimtab.compute.chaos.ways.base import Way
from trimtab.core.errors import ConfigError

__all__ = ["Disk"]


class Disk(Fault):
    """A limit on the size of files (RLIMIT_FSIZE), which any user may set for a process.

    A write stops in the middle, as on a full disk: the first part of it is there, the rest is not.
    """

    title = "no room for larger files"

    class Config(BaseModel):
        """Least bytes that a file may have."""

        least: int = Field(default=4096, ge=1024)

    def __init__(self, config: Config) -> None:
        """Take the settings."""
        self._least = config.least

    def play(self, scene: Scene, way: Way, rng: random.Random, run: Path) -> Played:
        """Let workers run out of room; it hits where they leave the run unfinished.

        Raises:
            ConfigError: No file of the experiment is larger than the least limit.
        """
        most = scene.largest_file()
        if most <= self._least:
            raise ConfigError(f"The largest file has {most:,} bytes: no limit would be met.")
        work = way.start(run, limit=rng.randint(self._least, most))
        problems = work.wait(disturbed=True)
        hit = not (run / "finished.json").is_file()
        return Played(1, int(hit), tuple(problems))
