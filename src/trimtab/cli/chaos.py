"""``chaos``: faults on runs of a small experiment, a table of what they lost, and an exit code."""

from __future__ import annotations

import importlib.util
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from secrets import token_hex

from rich.table import Table

from trimtab.cli import trust
from trimtab.cli.terminal import say, wide_console
from trimtab.compute.chaos import commands
from trimtab.compute.chaos.campaign import Instance, campaign
from trimtab.compute.chaos.commands import MARK, Commands, Launch
from trimtab.compute.chaos.comparison import rows
from trimtab.compute.chaos.faults.base import FAULTS
from trimtab.compute.chaos.results import COLUMNS, Results
from trimtab.compute.chaos.scene import Scene
from trimtab.compute.chaos.ways.base import Way
from trimtab.compute.chaos.ways.local import Local
from trimtab.compute.chaos.ways.ray import Ray
from trimtab.compute.chaos.ways.slurm import Slurm
from trimtab.compute.resources import Resources
from trimtab.compute.slurm.profile import Profile
from trimtab.core import stopping
from trimtab.core.counted import counted
from trimtab.core.errors import ConfigError, LossError, did_you_mean
from trimtab.core.files import create_whole, make_dir
from trimtab.recipes.base import load_recipe
from trimtab.runs.store.create import is_run
from trimtab.runs.store.run import Run

_TOY = {
    "recipe": "truthfulqa_steering",
    "name": "toy",
    "task": {"source": "bundled", "limit": 6, "max_tokens": 16},
    "heldout": {"limit": 2},
    "steering": {"layer": 1, "strengths": [0.5]},
    "controls": {"prompt": "Be truthful.", "random_draws": 1},
    "judges": [{"name": "rubric", "rubric": "truth"}, "text_health"],
}
"""An experiment with a random model: what it answers means nothing, and it needs no network."""

_MODEL = "model"
_TOY_JOB = Resources(cpus=1, memory_gib=3, minutes=20)

_PROGRAMS = ("sbatch", "squeue", "scontrol", "scancel")


@dataclass(frozen=True)
class Asked:
    """Where workers are to be started.

    Attributes:
        on: Name of the way.
        profile: What a SLURM cluster wants.
        address: Of a Ray cluster.
        toy: Folder of the model, where that is a toy: jobs ask for little then.
    """

    on: str
    profile: Path | None = None
    address: str | None = None
    toy: Path | None = None


def _slurm(asked: Asked) -> Callable[[Scene], Way]:
    absent = [name for name in _PROGRAMS if shutil.which(name) is None]
    if absent:
        raise ConfigError(
            f"There is no SLURM here: no {', '.join(absent)}.",
            hint="Give the command on a login node of a SLURM cluster.",
        )
    wanted = Profile.read(asked.profile)
    if asked.toy is not None:
        models = {**wanted.models, str(asked.toy).lower(): _TOY_JOB}
        changed = {"models": models, "without_model": wanted.without_model or _TOY_JOB}
        wanted = wanted.model_copy(update=changed)
    return lambda scene: Slurm(scene, wanted)


def _ray(asked: Asked) -> Callable[[Scene], Way]:
    if importlib.util.find_spec("ray") is None:
        raise ConfigError("Ray is not installed.", hint="pip install 'trimtab[ray]'")
    return lambda scene: Ray(scene, asked.address)


_WAYS: dict[str, tuple[type[Way], Callable[[Asked], Callable[[Scene], Way]]]] = {
    "local": (Local, lambda _: Local),
    "slurm": (Slurm, _slurm),
    "ray": (Ray, _ray),
}


def play(
    target: Path | None,
    out: Path,
    asked: Asked,
    faults: str | None,
    count: int,
    seed: int,
    *,
    trusted: bool = False,
    launch: Launch = commands.launch,
) -> None:
    """Play faults and tell what they lost.

    Args:
        target: An experiment file, or a run; a toy if None.
        out: Folder of everything that is written.
        asked: Where workers are started.
        faults: Kinds, separated by commas; all that can be played if None.
        count: Runs for each kind.
        seed: What faults are drawn with.
        trusted: Whether a run's code and addresses may be used.
        launch: How commands are started.

    Raises:
        ConfigError: Something is named that there is not, or can't be played; ``out`` is taken; or
            the experiment does not run undisturbed.
        LossError: Something was lost, doubled or changed, or lives on.
    """
    if asked.on not in _WAYS:
        raise ConfigError(
            f"Workers can't be started on {asked.on!r}. {did_you_mean(asked.on, _WAYS)}"
        )
    kind, make = _WAYS[asked.on]
    chosen, not_played = choose(faults, kind, asked.on)
    toy = out.resolve() / _MODEL if target is None else None
    way_of = make(replace(asked, toy=toy))
    out = _new_folder(out)
    started = Commands(out / "logs", _variables(out), launch)
    try:
        with stopping.going_on_with("trimtab chaos, with another folder as --out"):
            scene = Scene.make(out, started, _experiment(target, out, trusted=trusted))
            results = Results(
                *(str(target or "a toy"), asked.on, seed),
                *(len(rows(scene.whole)), scene.seconds, not_played),
            )
            _announce(results, chosen, count)
            way = way_of(scene)
            campaign(scene, way, chosen, count, seed, lambda one: _tell(one, results, out))
    finally:
        started.close()
    _show(results, out)
    if failed := results.failed():
        raise LossError(
            f"{len(failed)} of {counted(len(results.instances), 'run')} did not hold.",
            hint=f"See {out}/chaos.md; the runs are in {out}/runs, what was said in {out}/logs.",
        )


def choose(faults: str | None, way: type[Way], on: str) -> tuple[list[str], dict[str, str]]:
    """Return the kinds that are played, and those that can't be, each with the reason.

    Raises:
        ConfigError: A kind is named that there is not, or that can't be played.
    """
    names = list(FAULTS.own_files)
    if faults is None:
        not_played = {name: why for name, why in way.unplayable.items() if name in names}
        return [name for name in names if name not in not_played], not_played
    chosen = list(dict.fromkeys(word.strip() for word in faults.split(",") if word.strip()))
    for name in chosen:
        if name not in names:
            raise ConfigError(f"--faults: there is no {name!r}.", hint=did_you_mean(name, names))
        if name in way.unplayable:
            raise ConfigError(f"{name} can't be played on {on}: {way.unplayable[name]}.")
    if not chosen:
        raise ConfigError("--faults names none.", hint=did_you_mean("", names))
    return chosen, {}


def _variables(out: Path) -> dict[str, str]:
    """Return what commands know: where to write, how to be found, and how many threads to use."""
    return {
        MARK: token_hex(8),
        "TRIMTAB_HOME": str(out / "home"),
        "TRIMTAB_CACHE": str(out / "cache"),
        "MPLCONFIGDIR": str(out / "cache" / "matplotlib"),
        "OMP_NUM_THREADS": "1",  # on any machine, as sums that are cut otherwise end otherwise
    }


def _new_folder(out: Path) -> Path:
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ConfigError(f"{out} is there already.", hint="Name another with --out.")
    make_dir(out)
    return out.resolve()


def _experiment(target: Path | None, out: Path, *, trusted: bool) -> Path:
    """Return the file of the experiment; a run's, and the toy's, is written."""
    if target is None:
        from trimtab.models.quiet import quiet
        from trimtab.models.tiny import save_tiny

        with quiet():
            model = save_tiny(out / _MODEL)
        config = {**_TOY, "model": {"id": str(model), "device": "cpu"}}
    elif is_run(target):
        run = Run.open(target)
        trust.admit(run, trust=trusted)
        config = run.config
    else:
        load_recipe(target)  # what is wrong with it is told before anything is started
        return target
    path = out / "experiment.yaml"
    create_whole(path, json.dumps(config, indent=2).encode())
    return path


def _announce(results: Results, chosen: list[str], count: int) -> None:
    total = count * len(chosen)
    say(
        f"undisturbed: {results.num_rows:,} rows in {results.seconds:.0f} s; now {total} runs with "
        f"faults ({', '.join(chosen)}), each a few times that long at most."
    )
    for name, why in results.not_played.items():
        say(f"not played: {name}: {why}.")


def _tell(one: Instance, results: Results, out: Path) -> None:
    results.instances.append(one)
    results.write(out)
    said = "; ".join(one.lines()) or "nothing lost"
    say(f"{one.fault} {one.number}: hit {one.hits} of {one.tries}: {said}")


def _show(results: Results, out: Path) -> None:
    table = Table(title=f"Faults on {results.on}")
    for number, name in enumerate(COLUMNS):
        table.add_column(name, justify="right" if number else "left")
    for row in results.table():
        table.add_row(*row)
    console = wide_console()
    console.print(table)
    say(results.finding())
    say(f"Written: {out}/chaos.md and {out}/chaos.json")
