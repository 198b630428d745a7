"""What faults are played on: an experiment, planned once, and its run that nothing disturbed."""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from trimtab.compute.chaos import moments
from trimtab.compute.chaos.commands import Commands
from trimtab.core.errors import CheckError, ConfigError

_DONE = (0, CheckError.exit_code)


@dataclass(frozen=True)
class Scene:
    """The experiment.

    Attributes:
        folder: Where everything is.
        commands: Starts commands.
        planned: The run as it was planned.
        whole: The run that nothing disturbed.
        seconds: How long that took.
        code: Its exit code: 0, or 8 where an honesty check of this experiment fails anyhow.
    """

    folder: Path
    commands: Commands
    planned: Path
    whole: Path
    seconds: float
    code: int

    @classmethod
    def make(cls, folder: Path, commands: Commands, config: Path) -> Scene:
        """Plan an experiment and run it, in one process, undisturbed.

        Raises:
            ConfigError: It can't be planned, or does not finish.
        """
        planned, whole = folder / "planned", folder / "undisturbed"
        done = commands.run(["plan", config, "--out", planned])
        require(done, "The experiment can't be planned", commands.folder)
        shutil.copytree(planned, whole)
        since = time.monotonic()
        command = commands.start(["resume", whole])
        done = command.wait(_DONE)
        require(done, "The experiment can't be run undisturbed", commands.folder)
        assert command.code is not None
        return cls(folder, commands, planned, whole, time.monotonic() - since, command.code)

    @property
    def codes(self) -> tuple[int, ...]:
        """Return the exit codes of commands that nothing disturbs."""
        return (0,) if self.code == 0 else (0, self.code)

    def copy(self, name: str) -> Path:
        """Return a run that is planned and not begun."""
        return Path(shutil.copytree(self.planned, self.folder / "runs" / name))

    def moment(self, rng: random.Random, run: Path) -> Callable[[], bool]:
        """Return what is true from a random moment of a random phase of a run on."""
        phase = rng.choice(moments.phases_of(self.whole))
        return moments.moment(rng, run, self.whole, self.seconds, phase)

    def largest_file(self) -> int:
        """Return the bytes of the largest file of the undisturbed run."""
        return max(path.stat().st_size for path in self.whole.rglob("*") if path.is_file())


def require(problems: list[str], what: str, logs: Path) -> None:
    """Raise ConfigError with ``what`` went wrong if there are problems."""
    if problems:
        raise ConfigError(f"{what}: {'; '.join(problems)}.", hint=f"What was said is in {logs}.")
