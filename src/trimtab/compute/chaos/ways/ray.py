"""Workers of a Ray cluster: ``trimtab submit --on ray`` from its beginning to its end."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar

from trimtab.compute.chaos.scene import Scene
from trimtab.compute.chaos.ways.base import Work
from trimtab.compute.chaos.ways.local import CommandWork, Local
from trimtab.core.errors import HeldError

_SECONDS_TO_LEAVE = 60.0


class RayWork(CommandWork):
    """The command that hands out units; its workers end with it."""

    told = (signal.SIGTERM, signal.SIGINT)


class Ray(Local):
    """Actors of a cluster, or of one of this machine that begins and ends with the command."""

    seconds_to_leave = _SECONDS_TO_LEAVE
    unplayable: ClassVar[Mapping[str, str]] = MappingProxyType(
        {"disk": "Ray starts the workers, and what limits a command does not limit them"}
    )

    def __init__(self, scene: Scene, address: str | None) -> None:
        """Name the scene, and the address of a cluster that is there, if there is one."""
        super().__init__(scene)
        self._address = address

    def start(self, run: Path, *, limit: int | None = None) -> Work:
        """Hand out the run."""
        return RayWork(self.scene.commands.start(self._argv(run), limit), self.scene.codes)

    def start_twice(self, run: Path) -> tuple[Work, Work]:
        """Hand out the run twice; either command may be the one that is refused."""
        codes = (*self.scene.codes, HeldError.exit_code)
        first, second = (self.scene.commands.start(self._argv(run)) for _ in range(2))
        return RayWork(first, codes), RayWork(second, codes)

    def finish(self, run: Path) -> list[str]:
        """Hand out the run again."""
        return self.scene.commands.run(self._argv(run), self.scene.codes)

    def _argv(self, run: Path) -> list[str | Path]:
        address = [] if self._address is None else ["--address", self._address]
        return ["submit", run, "--on", "ray", *address]
