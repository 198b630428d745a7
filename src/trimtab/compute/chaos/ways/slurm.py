"""Jobs of a SLURM cluster, with what its users may do: no rights of an administrator."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path
from typing import ClassVar

import yaml

from trimtab.compute.chaos.scene import Scene, require
from trimtab.compute.chaos.ways.base import Way, Work
from trimtab.compute.slurm import client
from trimtab.compute.slurm.client import QueuedJob
from trimtab.compute.slurm.profile import Profile
from trimtab.compute.slurm.submit import live_jobs
from trimtab.runs.store import finished
from trimtab.runs.store.run import Run

_MOST_SECONDS = 7200.0
_MOST_SUBMISSIONS = 5
_SECONDS_TO_LEAVE = 60.0
_POLL_S = 0.5
_BLOCK = 1024
"""Bytes in which bash counts ``ulimit -f``."""


class SlurmWork(Work):
    """All jobs of one run."""

    pause_s: ClassVar[float] = _POLL_S

    def __init__(self, run: Path) -> None:
        """Name the run."""
        self._run = run

    def runs(self) -> bool:
        """Return whether a job waits or runs."""
        return bool(own_jobs(self._run))

    def kill(self, rng: random.Random) -> bool:
        """SIGKILL the tasks of a job that runs; its script lives and sees that."""
        job = self._running(rng)
        return job is not None and client.send(job.number, "KILL") is None

    def preempt(self, rng: random.Random) -> bool:
        """Have a job that runs begin anew, or warn it as before its time is over."""
        job = self._running(rng)
        if job is None:
            return False
        if rng.random() < 0.5:
            return client.requeue(job.number) is None
        return client.send(job.number, "USR2") is None

    def wait(self, *, disturbed: bool) -> list[str]:
        """Wait until no job waits or runs; how jobs end does not matter."""
        end = time.monotonic() + _MOST_SECONDS
        while jobs := own_jobs(self._run):
            if time.monotonic() > end:
                told = ", ".join(f"{job.id} {job.state} {job.reason}" for job in jobs)
                return [f"jobs are there after {_MOST_SECONDS / 3600:.0f} hours: {told}"]
            time.sleep(_POLL_S)
        return []

    def _running(self, rng: random.Random) -> QueuedJob | None:
        running = [job for job in own_jobs(self._run) if job.state == "RUNNING"]
        return rng.choice(running) if running else None


class Slurm(Way):
    """Jobs, submitted as ``trimtab submit --on slurm`` does, again and again until all is done."""

    def __init__(self, scene: Scene, profile: Profile) -> None:
        """Name the scene and what the cluster wants."""
        self._scene = scene
        self._profile = profile

    def start(self, run: Path, *, limit: int | None = None) -> Work:
        """Submit the run; raise ConfigError if that is refused."""
        return self._begin(run, limit)

    def start_twice(self, run: Path) -> tuple[Work, Work]:
        """Submit the run, and once more as it has to be asked for."""
        return self._begin(run, None), self._begin(run, None, again=True)

    def finish(self, run: Path) -> list[str]:
        """Submit until nothing is owed."""
        for _ in range(_MOST_SUBMISSIONS):
            if finished.is_finished(run):
                return []
            if problems := self._submit(run, None):
                return problems
            if problems := SlurmWork(run).wait(disturbed=False):
                return problems
        done = finished.is_finished(run)
        return [] if done else [f"work is left after {_MOST_SUBMISSIONS} more submissions"]

    def left(self, run: Path) -> int | None:
        """Return how many jobs wait or run still."""
        end = time.monotonic() + _SECONDS_TO_LEAVE
        while (found := own_jobs(run)) and time.monotonic() < end:
            time.sleep(_POLL_S)
        return len(found)

    def end(self, run: Path) -> None:
        """Cancel the jobs of the run."""
        if jobs := own_jobs(run):
            client.cancel([job.number for job in jobs])
        self._scene.commands.close()

    def _begin(self, run: Path, limit: int | None, *, again: bool = False) -> Work:
        problems = self._submit(run, limit, again=again)
        require(problems, f"{run.name} can't be submitted", self._scene.commands.folder)
        return SlurmWork(run)

    def _submit(self, run: Path, limit: int | None, *, again: bool = False) -> list[str]:
        profile = self._profile
        if limit is not None:
            setup = (*profile.setup, f"ulimit -f {limit // _BLOCK}")
            profile = profile.model_copy(update={"setup": setup})
        path = self._scene.folder / f"profile-{run.name}.yaml"
        path.write_text(yaml.safe_dump(profile.model_dump(mode="json", exclude_none=True)))
        argv: list[str | Path] = ["submit", run, "--on", "slurm", "--profile", path]
        return self._scene.commands.run([*argv, "--again"] if again else argv)


def own_jobs(run: Path) -> list[QueuedJob]:
    """Return the jobs of a run that wait or run and are this user's."""
    return [job for job in live_jobs(Run.open(run)) if job.user == str(os.getuid())]
