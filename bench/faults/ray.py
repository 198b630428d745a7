"""A Ray of two nodes that loses workers, nodes and the command itself while a run goes on.

An instance is one run that is handed out to the cluster, its rows slowed down, and meets two to
four faults at random moments; where the command ended, it is given again, as a user would.
"""

import atexit
import os
import random
import signal
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import ray_cluster
from cli_process import Command

from faults.ground import Ground, Outcome, doubled, ended, wrong
from trimtab.compute.chaos.comparison import num_records

_MOST_SECONDS = 300.0
_INTERRUPTED = (130, 143, -9)


@dataclass
class Scene:
    """A run at the mercy of a cluster.

    Attributes:
        command: What hands it out now.
        problems: What did not hold.
    """

    ground: Ground
    rng: random.Random
    run: Path
    cluster: Any
    command: Command | None = None
    problems: list[str] = field(default_factory=list)

    def submit(self) -> None:
        """Hand the run out, unless that is being done."""
        if self.command is None or self.command.process.exitcode is not None:
            argv = ["submit", self.run, "--on", "ray", "--address", self.cluster.address]
            self.command = self.ground.command(argv, ray_cluster.slow_workers)

    def wait(self, condition: Callable[[], object], seconds: float = _MOST_SECONDS) -> bool:
        """Wait until something holds or the command ends; return whether it holds."""
        end = time.monotonic() + seconds
        assert self.command is not None
        while not condition():
            if self.command.process.exitcode is not None or time.monotonic() > end:
                return False
            time.sleep(0.1)
        return True

    def worker(self) -> int | None:
        """Return a process that holds a unit; None if none does any more."""
        self.wait(lambda: ray_cluster.workers(self.run), 60)
        found = sorted(ray_cluster.workers(self.run))
        return self.rng.choice(found) if found else None

    def close(self, codes: tuple[int, ...]) -> None:
        """Wait for the end of the command; note what is wrong with it."""
        if self.command is not None:
            self.problems += wrong(ended(self.command, _MOST_SECONDS), codes)
            self.command = None


def play(ground: Ground, rng: random.Random, number: int, folder: Path) -> Outcome:
    """Disturb a run; none of its rows may be lost, doubled or different in the end."""
    absent = ray_cluster.missing()
    if absent is not None:
        return Outcome(f"(skipped: {absent})")
    names = list(KINDS)
    chosen = [names[number % len(names)], *rng.choices(names, k=rng.randrange(1, 4))]
    rng.shuffle(chosen)
    scene = Scene(ground, rng, folder / "run", _cluster())
    problems = wrong(ground.run(["plan", ground.config, "--out", scene.run]), (0,))
    first = num_records(scene.run)
    last = num_records(ground.whole) - 1
    hit = []
    for name, at in zip(chosen, sorted(rng.randint(first, last) for _ in chosen), strict=True):
        scene.submit()
        scene.wait(lambda at=at: num_records(scene.run) >= at)
        if not (scene.run / "finished.json").is_file() and KINDS[name](scene):
            hit.append(name)
    scene.submit()
    scene.close((0,))
    problems += scene.problems + ground.differences(scene.run) + doubled(scene.run)
    return Outcome(" + ".join(hit) or "nothing was hit", problems)


def _kill_worker(scene: Scene) -> bool:
    return _signal(scene.worker(), signal.SIGKILL)


def _end_worker(scene: Scene) -> bool:
    return _signal(scene.worker(), signal.SIGTERM)


def _lose_node(scene: Scene) -> bool:
    """Cut the power of the node that is not the head, and bring another one a while later."""
    nodes = sorted(scene.cluster.worker_nodes, key=id)
    if not nodes or scene.worker() is None:
        return False
    scene.cluster.remove_node(scene.rng.choice(nodes), allow_graceful=False)
    time.sleep(scene.rng.uniform(0, 10))
    ray_cluster.add_node(scene.cluster)
    return True


def _interrupt(scene: Scene) -> bool:
    number = scene.rng.choice((signal.SIGINT, signal.SIGTERM))
    return _end_command(scene, number)


def _kill_command(scene: Scene) -> bool:
    return _end_command(scene, signal.SIGKILL)


def _end_command(scene: Scene, number: int) -> bool:
    """End who hands out units; no actor may outlive it."""
    command = scene.command
    at_work = scene.worker()
    if command is None or at_work is None or not _signal(command.process.pid, number):
        return False
    scene.close((0, *_INTERRUPTED))
    end = time.monotonic() + 60
    while ray_cluster.lives(at_work):
        if time.monotonic() > end:
            scene.problems.append("an actor outlives the command")
            break
        time.sleep(0.1)
    return True


def _submit_twice(scene: Scene) -> bool:
    """Give the command twice: it is refused as long as the first is at work."""
    if scene.worker() is None:
        return False
    argv = ["submit", scene.run, "--on", "ray", "--address", scene.cluster.address]
    scene.problems += wrong(scene.ground.run(argv), (0, 5))
    return True


def _signal(process: int | None, number: int) -> bool:
    try:
        os.kill(process or 0, number) if process else None
    except ProcessLookupError:
        return False
    return process is not None


KINDS: dict[str, Callable[[Scene], bool]] = {
    "kill -9 of a worker": _kill_worker,
    "SIGTERM of a worker": _end_worker,
    "node lost": _lose_node,
    "SIGINT or SIGTERM of the command": _interrupt,
    "kill -9 of the command": _kill_command,
    "submitted twice": _submit_twice,
}
"""Each returns whether it hit anything."""


@cache
def _cluster() -> Any:
    """Start the cluster of this campaign, which ends with it."""
    stack = ExitStack()
    some = stack.enter_context(ray_cluster.cluster())
    atexit.register(stack.close)
    return some
