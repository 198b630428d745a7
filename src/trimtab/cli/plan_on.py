"""``plan --on``: units, queue, memory and hours of a plan where its workers would be. No torch."""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

from trimtab.cli import pool_size, ray_jobs
from trimtab.cli.terminal import say, wide_console
from trimtab.compute.ray.profile import read_profile as read_ray_profile
from trimtab.compute.slurm.groups import groups
from trimtab.compute.slurm.profile import read_profile
from trimtab.core.counted import counted
from trimtab.core.errors import ConfigError, ModelError, did_you_mean
from trimtab.core.spec import ModelSpec
from trimtab.models.load import resolve
from trimtab.recipes.base import Recipe, RecipeConfig, grows
from trimtab.runs.store.run import Run
from trimtab.runs.usage.calibrations import Calibration, kept
from trimtab.runs.usage.memory import Need, planned_models
from trimtab.runs.work.amounts import Amounts, amounts, num_trainings, num_units
from trimtab.runs.work.units import KINDS

_WORDS = {"fit": ("fit", ""), "generate": ("window", " of rows"), "score": ("window", " of judges")}
_HOUR_S = 3600.0


@dataclass(frozen=True)
class Place:
    """Where the plan would be worked on.

    Attributes:
        on: The way: local, slurm or ray.
        profile: What the cluster wants; the user's own if none is given.
        price: Dollars for an hour of one worker, if known.
    """

    on: str
    profile: Path | None = None
    price: float | None = None


def show(recipe: Recipe[RecipeConfig], place: Place) -> None:
    """Print what a plan would be as a queue, and how long it would take on machines that are known.

    Raises:
        ConfigError: There is no such way, or a model needs more than the profile's limits.
    """
    ways: Mapping[str, Callable[[Run, Place], int]] = {
        "local": _local,
        "ray": _ray,
        "slurm": _slurm,
    }
    if place.on not in ways:
        raise ConfigError(f"--on {place.on!r} is no way. {did_you_mean(place.on, list(ways))}")
    planned = recipe.plan()
    with tempfile.TemporaryDirectory(prefix="trimtab-plan-") as folder:
        settings = recipe.config.model_dump(mode="json")
        run = Run.create(Path(folder) / "run", settings, planned.plan, planned.data.folders())
        number = num_units(run)
        parts = [
            f"{counted(number[kind], _WORDS[kind][0])}{_WORDS[kind][1]}"
            for kind in KINDS
            if kind in number
        ]
        say(f"on {place.on}: {counted(sum(number.values()), 'unit')} ({', '.join(parts)})")
        workers = ways[place.on](run, place)
        _hours(run, workers, place.price)


def _local(run: Run, _: Place) -> int:
    """Print how this machine is shared out; return the number of workers."""
    shared = pool_size.share(run, pool_size.Wanted(None), Need(run).bytes)
    for line in shared.why:
        say(line)
    return len(shared.slots)


def _slurm(run: Run, place: Place) -> int:
    """Print the job arrays; return the largest number of workers."""
    profile = read_profile(place.profile)
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


def _ray(run: Run, place: Place) -> int:
    """Print what a worker asks for; return the number of workers that units are there for."""
    profile = read_ray_profile(place.profile)
    models = planned_models(run)
    for key, request in ray_jobs.requests(run, profile).items():
        what = f"a worker with {models[key].id}" if key is not None else "a worker without a model"
        say(f"{what}: {request}")
    most = max(num_units(run).values())
    number = min(most, profile.workers or most)
    of = "the profile" if profile.workers and profile.workers <= most else "units"
    say(f"workers of one model: at most {number} ({of}), as many as the cluster has room for")
    return number


def _hours(run: Run, workers: int, price: float | None) -> None:
    """Print how long it takes on each kind of machine that is known."""
    owed, known = amounts(run), kept()
    models = planned_models(run)
    table = Table()
    for name in (
        "machine",
        "model",
        "speeds of",
        "one alone",
        counted(workers, "worker"),
        "dollars",
    ):
        table.add_column(name, justify="left" if name in ("machine", "model") else "right")
    unknown = []
    for key, amount in owed.items():
        rows = _speeds(known, key, models[key])
        for one, scaled in rows:
            hours = _seconds(amount, one) * scaled / _HOUR_S
            here = " (this one)" if one.host == socket.gethostname() else ""
            whose = "it" if scaled == 1 else f"{one.model}, by size"
            # each worker is paid while it works, so their number changes the time alone
            dollars = "" if price is None else f"{hours * price:,.2f}"
            shares = (_duration(hours), _duration(hours / workers), dollars)
            table.add_row(f"{one.kind}{here}", models[key].id, whose, *shares)
        unknown += [] if rows else [models[key].id]
    if table.row_count:
        wide_console().print(table)
        say(_caveat(run))
    for name in unknown:
        say(f"how long {name} takes is not known of any machine: `trimtab calibrate {name}`")


def _caveat(run: Run) -> str:
    number = num_trainings(run)
    left = f" or the steps of {counted(number, 'training')} beyond one pass" if number else ""
    return (
        "Hours are as if every text had its greatest length, every worker were always busy, and "
        f"without judges{left}; machines as `trimtab calibrate` measured them."
    )


def _speeds(
    known: list[Calibration], identity: str, model: ModelSpec
) -> list[tuple[Calibration, float]]:
    """Return the newest measurement of each kind of machine, and by what its times are multiplied.

    A model that was not measured there is taken to be as much slower as it is larger than another
    one in its number format.
    """
    size = _size(known, identity, model)
    found: dict[str, tuple[Calibration, float]] = {}
    for one in known:
        if one.dtype != model.dtype:
            continue
        if one.identity == identity and found.get(one.kind, (one, 0.0))[1] != 1.0:
            found[one.kind] = (one, 1.0)
        elif size is not None and one.kind not in found:
            found[one.kind] = (one, size / one.num_parameters)
    return list(found.values())


def _size(known: list[Calibration], identity: str, model: ModelSpec) -> int | None:
    measured = [one.num_parameters for one in known if one.identity == identity]
    try:
        return measured[0] if measured else resolve(model).card.num_parameters
    except ModelError:  # it is not on this machine
        return None


def _seconds(amount: Amounts, one: Calibration) -> float:
    read = amount.read / one.forward + amount.learned / one.train
    return read + amount.written / one.generate


def _duration(hours: float) -> str:
    return f"{hours:,.1f} h" if hours >= 1 else f"{hours * 60:,.1f} min"
