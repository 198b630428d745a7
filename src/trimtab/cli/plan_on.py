"""``plan --on``: units, queue, memory and hours of a plan where its workers would be. No torch."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

from trimtab.cli import plan_cloud, pool_size, ray_jobs
from trimtab.cli.plan_hours import amounts_of, show_hours
from trimtab.cli.terminal import say, wide_console
from trimtab.compute.ray.profile import Profile as RayProfile
from trimtab.compute.slurm.groups import groups
from trimtab.compute.slurm.profile import Profile
from trimtab.core.counted import counted
from trimtab.core.errors import ConfigError, did_you_mean
from trimtab.recipes.base import Recipe, RecipeConfig, grows
from trimtab.runs.plan.amounts import Amounts
from trimtab.runs.store.run import Run
from trimtab.runs.usage.memory import Need, planned_models
from trimtab.runs.work.units import KINDS, num_units

_WORDS = {"fit": ("fit", ""), "generate": ("window", " of rows"), "score": ("window", " of judges")}


@dataclass(frozen=True)
class Place:
    """Where the plan would be worked on.

    Attributes:
        on: The way: local, slurm, ray or cloud.
        profile: What the cluster wants, or the settings of the provider; the user's own if none
            is given.
        price: Dollars for an hour of one worker, if known.

    Raises:
        ConfigError: There is no such way, or the price is no finite number.
    """

    on: str
    profile: Path | None = None
    price: float | None = None

    def __post_init__(self) -> None:
        """Check them before anything is planned."""
        if self.on not in _WAYS:
            raise ConfigError(f"--on {self.on!r} is no way. {did_you_mean(self.on, list(_WAYS))}")
        if self.price is not None and not math.isfinite(self.price):
            raise ConfigError(f"--price {self.price} is no price: give dollars for an hour.")


def show(recipe: Recipe[RecipeConfig], place: Place) -> None:
    """Print what a plan would be as a queue, and how long it would take on machines that are known.

    Raises:
        ConfigError: A model needs more than the profile's limits.
    """
    planned = recipe.plan()
    with tempfile.TemporaryDirectory(prefix="trimtab-plan-") as folder:
        settings = recipe.config.model_dump(mode="json")
        run = Run.create(Path(folder) / "run", settings, planned.plan, planned.data.folders())
        number = num_units(run)
        late = sum(bool(fit.completions) for fit in run.plan.fits)
        parts = [
            f"{counted(number[kind] - late * (kind == 'score'), _WORDS[kind][0])}{_WORDS[kind][1]}"
            for kind in KINDS
            if kind in number
        ]
        parts += [f"{counted(late, 'fit')} of answers"] * bool(late)
        say(f"on {place.on}: {counted(sum(number.values()), 'unit')} ({', '.join(parts)})")
        owed = amounts_of(run)
        workers = _WAYS[place.on](run, place, owed)
        show_hours(run, owed, workers, place.price)


def _local(run: Run, _: Place, __: Amounts) -> int:
    """Print how this machine is shared out; return the number of workers."""
    shared = pool_size.share(run, pool_size.Wanted(None), Need(run).bytes)
    for line in shared.why:
        say(line)
    return len(shared.slots)


def _cloud(run: Run, place: Place, owed: Amounts) -> int:
    """Print the machines that can be rented; return one worker, which is a GPU of one of them."""
    plan_cloud.show(run, owed, place.profile)
    return 1


def _slurm(run: Run, place: Place, _: Amounts) -> int:
    """Print the job arrays; return the largest number of workers."""
    profile = Profile.read(place.profile)
    stages = groups(run, profile, grows=grows(run))
    table = Table()
    for name in ("job", "workers", "units", "each has", "time limit", "begins"):
        table.add_column(name, justify="right" if name in ("workers", "units") else "left")
    before = "at once"
    for stage in stages:
        each = stage.resources
        gpus = f", {counted(each.gpus, 'GPU')}" if each.gpus else ""
        has = f"{counted(each.cpus, 'core')}{gpus}, {each.memory_gib} GiB"
        row = (stage.name, str(stage.workers), str(stage.num_units), has, each.time, before)
        table.add_row(*row)
        before = f"when {stage.name} has ended"
    table.add_row("finish", "1", "", "no model", "", before)
    wide_console().print(table)
    for model in planned_models(run).values():
        if not profile.is_known(model):
            say(f"note: nothing is known of what {model.id} needs: `models` of the profile says it")
    return max(stage.workers for stage in stages)


def _ray(run: Run, place: Place, _: Amounts) -> int:
    """Print what a worker asks for; return the number of workers that units are there for."""
    profile = RayProfile.read(place.profile)
    models = planned_models(run)
    for key, request in ray_jobs.requests(run, profile).items():
        what = f"a worker with {models[key].id}" if key is not None else "a worker without a model"
        say(f"{what}: {request}")
    most = max(num_units(run).values())
    number = min(most, profile.workers or most)
    of = "the profile" if profile.workers and profile.workers <= most else "units"
    say(f"workers of one model: at most {number} ({of}), as many as the cluster has room for")
    return number


_WAYS: Mapping[str, Callable[[Run, Place, Amounts], int]] = {
    "local": _local,
    "cloud": _cloud,
    "ray": _ray,
    "slurm": _slurm,
}
