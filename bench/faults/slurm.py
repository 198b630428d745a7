"""A real SLURM of two nodes that loses workers, nodes, jobs, memory and time while a run goes on.

An instance is one run that is submitted and meets four to seven faults at random moments; what
is owed when its jobs have ended is submitted again, as a user would.
"""

import atexit
import random
from contextlib import ExitStack
from functools import cache
from pathlib import Path

import slurm_cluster
import yaml

from faults import slurm_kinds
from faults.ground import Ground, Outcome, doubled, wrong
from faults.slurm_kinds import Scene
from trimtab.compute.chaos.comparison import num_records

_MOST_SECONDS = 600.0
_MOST_SUBMISSIONS = 5


def play(
    ground: Ground, rng: random.Random, number: int, folder: Path, *, accounts: bool = False
) -> Outcome:
    """Disturb a run; none of its rows may be lost, doubled or different in the end."""
    absent = slurm_cluster.missing(accounts=accounts)
    if absent is not None:
        return Outcome(f"(skipped: {absent})")
    names = list(slurm_kinds.KINDS)
    chosen = [names[number % len(names)], *rng.choices(names, k=rng.randrange(3, 7))]
    rng.shuffle(chosen)
    scene = Scene(ground, rng, folder / "run", _profile(folder), _cluster(accounts))
    done = scene.trimtab("plan", ground.config, "--out", scene.run)
    first = num_records(scene.run)
    problems = wrong(done, (0,)) or wrong(scene.submit(), (0,))
    hit = []
    last = num_records(ground.whole) - len(list(ground.whole.glob("plan/0*.json")))
    for name, at in zip(chosen, sorted(rng.randint(first, last) for _ in chosen), strict=True):
        scene.wait(lambda at=at: num_records(scene.run) >= at or not scene.jobs(), _MOST_SECONDS)
        problems = problems or _gone_on(scene)
        if not problems and slurm_kinds.KINDS[name](scene):
            hit.append(name)
        problems += wrong(scene.trimtab("status", scene.run), (0,))
    problems = problems or _ended(scene)
    return Outcome(" + ".join(hit) or "nothing was hit", problems)


def _ended(scene: Scene) -> list[str]:
    """Submit until nothing is owed; return what does not hold then."""
    for _ in range(_MOST_SUBMISSIONS):
        if not scene.wait(lambda: not scene.jobs(), _MOST_SECONDS):
            return [f"jobs are there still: {scene.jobs()}"]
        if (scene.run / "finished.json").is_file():
            break
        if problems := _gone_on(scene):
            return problems
    logs = [path.read_text(errors="replace") for path in scene.run.glob("slurm/0*/*.log")]
    found = ["a job's log holds a traceback" for log in logs if "Traceback" in log]
    return found + scene.ground.differences(scene.run) + doubled(scene.run)


def _gone_on(scene: Scene) -> list[str]:
    """Submit again where nothing waits or runs though something is owed."""
    if scene.jobs() or (scene.run / "finished.json").is_file():
        return []
    return wrong(scene.submit(), (0,))


@cache
def _cluster(accounts: bool) -> slurm_cluster.Cluster:
    """Start the cluster of this campaign, which ends with it."""
    stack = ExitStack()
    one = stack.enter_context(slurm_cluster.cluster(accounts=accounts))
    atexit.register(stack.close)
    return one


def _profile(folder: Path) -> Path:
    size = {"gpus": 0, "cpus": 1, "memory_gib": 3, "minutes": 20}
    path = folder / "cluster.yaml"
    sizes = {"without_model": size, "models": {"t": size}}
    path.write_text(yaml.safe_dump(slurm_kinds.PROFILE | sizes))
    return path
