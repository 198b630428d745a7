"""The faults of a SLURM cluster, each played on a run whose workers are at work."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import slurm_cluster
from cli_process import Finished

from faults import slow_trimtab
from faults.ground import Ground, with_variable, wrong

PROFILE = {
    "workers": 2,
    "partition": "low",
    "signal_seconds": 20,
    "command": [sys.executable, slow_trimtab.__file__],
}
_HELD = 5
"""Exit code of what another process holds."""


@dataclass(frozen=True)
class Scene:
    """A run at the mercy of a cluster."""

    ground: Ground
    rng: random.Random
    run: Path
    profile: Path
    cluster: slurm_cluster.Cluster

    def trimtab(self, *argv: object) -> Finished:
        """Run a command to its end, as a user of the cluster."""
        conf = with_variable("SLURM_CONF", str(self.cluster.conf))
        return self.ground.run([str(word) for word in argv], conf)

    def submit(self, *options: str) -> Finished:
        """Submit the run."""
        on = ("--on", "slurm", "--profile", str(self.profile))
        return self.trimtab("submit", self.run, *on, *options)

    def slurm(self, *command: str) -> str:
        """Ask SLURM; return what it prints, nothing if it does not answer."""
        done = subprocess.run(
            command, env=self.cluster.environment, capture_output=True, text=True, check=False
        )
        return done.stdout if done.returncode == 0 else ""

    def jobs(self, *states: str) -> list[tuple[str, str, str]]:
        """Return number, state and node of each job, or of those in ``states``."""
        said = self.slurm("squeue", "-h", "-r", "-o", "%A|%T|%N|%j")
        rows = [line.split("|") for line in said.splitlines()]
        return [(a, b, c) for a, b, c, _ in rows if not states or b in states]

    def running(self) -> tuple[str, str, str] | None:
        """Return one of the jobs that run, after a moment if none does."""
        self.wait(lambda: self.jobs("RUNNING") or not self.jobs(), 60)
        found = self.jobs("RUNNING")
        return self.rng.choice(found) if found else None

    def worker(self) -> int | None:
        """Return a process that is a worker of this run, after a moment if there is none."""
        self.wait(lambda: self._workers() or not self.jobs(), 60)
        found = self._workers()
        return self.rng.choice(found) if found else None

    def _workers(self) -> list[int]:
        wanted = [os.fsencode(word) for word in (slow_trimtab.__file__, "work", str(self.run))]
        found = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = path.read_bytes().split(b"\0")
            except OSError:
                continue
            if words[1:4] == wanted:  # of srun they are the words after
                found.append(int(path.parent.name))
        return sorted(found)

    def wait(self, condition: Callable[[], object], seconds: float) -> bool:
        """Wait until something holds; return whether it does."""
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                return False
            time.sleep(0.1)
        return True

    def sleep(self, low: float, high: float) -> None:
        """Let some time pass."""
        time.sleep(self.rng.uniform(low, high))


def _preempt(scene: Scene) -> bool:
    """Need a node for a job of more right."""
    job = scene.running()
    if job is not None:
        where = ["-pmain", "-w", job[2], "--exclusive", "--mem=0", "-o/dev/null"]
        scene.slurm("sbatch", *where, "--wrap", "sleep 2")
        scene.wait(lambda: job not in scene.jobs(), 60)
    return job is not None


def _end_time(scene: Scene) -> bool:
    """Leave a job a minute in all: it is warned 20 seconds before, or at once."""
    job = scene.running()
    if job is not None:
        scene.slurm("scontrol", "update", f"jobid={job[0]}", "TimeLimit=1")
        scene.wait(lambda: job not in scene.jobs(), 120)
    return job is not None


def _cancel_one(scene: Scene) -> bool:
    job = scene.running()
    if job is not None:
        scene.slurm("scancel", job[0])
    return job is not None


def _cancel_all(scene: Scene) -> bool:
    some = bool(scene.jobs())
    return some and not wrong(scene.trimtab("cancel", scene.run), (0,))


def _kill_worker(scene: Scene) -> bool:
    return _signal(scene.worker(), signal.SIGKILL)


def _freeze_worker(scene: Scene) -> bool:
    """Let a worker sleep until its claim has lapsed and another works on its unit."""
    worker = scene.worker()
    slept = _signal(worker, signal.SIGSTOP)
    if slept:
        scene.sleep(slow_trimtab.TTL_S, 2 * slow_trimtab.TTL_S)
        _signal(worker, signal.SIGCONT)
    return slept


def _signal(process: int | None, number: int) -> bool:
    if process is None:
        return False
    try:
        os.kill(process, number)
    except ProcessLookupError:
        return False
    return True


def _lose_node(scene: Scene) -> bool:
    """Cut the power of a node that works, and give it back later."""
    job = scene.running()
    if job is not None:
        scene.cluster.lose(job[2])
        scene.sleep(1, 40)
        scene.cluster.start(job[2])
    return job is not None


def _split_brain(scene: Scene) -> bool:
    """Lose sight of a node whose workers go on: after half a minute its jobs begin elsewhere."""
    job = scene.running()
    if job is not None:
        scene.cluster.kill(job[2])
        scene.sleep(5, 50)
        scene.cluster.start(job[2])
    return job is not None


def _kill_controller(scene: Scene) -> bool:
    some = bool(scene.jobs())
    scene.cluster.kill("slurmctld")
    scene.sleep(1, 8)
    scene.cluster.start("slurmctld")
    scene.wait(lambda: slurm_cluster.states(scene.cluster), 60)
    return some


def _submit_twice(scene: Scene) -> bool:
    """Submit by mistake, which is refused, and then on purpose."""
    if not scene.jobs():
        return False
    refused = scene.submit()
    return refused.code == _HELD and not wrong(scene.submit("--again"), (0,))


def _take_memory(scene: Scene) -> bool:
    """Have a worker take more memory than its job may have."""
    hog = scene.run.parent / slow_trimtab.HOG
    hog.touch()
    scene.wait(lambda: not hog.exists() or not scene.jobs(), 60)
    hit = not hog.exists()
    hog.unlink(missing_ok=True)
    return hit


def _requeue(scene: Scene) -> bool:
    """Begin a job anew, as administrators do."""
    job = scene.running()
    if job is not None:
        scene.slurm("scontrol", "requeue", job[0])
    return job is not None


KINDS: dict[str, Callable[[Scene], bool]] = {
    "preemption": _preempt,
    "time limit": _end_time,
    "scancel of one job": _cancel_one,
    "cancel of all": _cancel_all,
    "kill -9 of a worker": _kill_worker,
    "a worker sleeps": _freeze_worker,
    "node lost": _lose_node,
    "split brain": _split_brain,
    "controller killed": _kill_controller,
    "submitted twice": _submit_twice,
    "out of memory": _take_memory,
    "requeue": _requeue,
}
"""Each returns whether it hit anything."""
