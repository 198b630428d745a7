"""``probe lr``: a few updates at each learning rate, before a long training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table

from trimtab.cli.terminal import say, wide_console
from trimtab.core.errors import ConfigError, did_you_mean
from trimtab.core.keys import derive_seed
from trimtab.core.lazy import lazy
from trimtab.core.plan import FitPlan
from trimtab.core.types import Conversation
from trimtab.models.load import load_model, resolve
from trimtab.recipes.base import load_recipe
from trimtab.runs.plan.planner import PlannedRun
from trimtab.training.sft.config import AdapterTraining

if TYPE_CHECKING:
    from trimtab.engine import engine as engines
    from trimtab.training.sft import fit as sft
    from trimtab.training.sft import probe as probing
else:
    engines = lazy("trimtab.engine.engine")
    sft = lazy("trimtab.training.sft.fit")
    probing = lazy("trimtab.training.sft.probe")

RATES = (3e-5, 1e-4, 3e-4, 1e-3, 3e-3)


def learning_rates(
    path: Path,
    overrides: tuple[str, ...],
    condition: str | None,
    rates: Sequence[float],
    steps: int,
) -> None:
    """Print what some updates at each rate do to the loss, and to rows that are not learned.

    Args:
        path: Experiment file.
        overrides: As of ``run``.
        condition: Whose training; the file's only one if None.
        rates: Learning rates.
        steps: Updates at each.
    """
    planned = load_recipe(path, overrides).plan()
    fit = _fit(planned, condition)
    settings = AdapterTraining.model_validate(fit.component.config["train"])
    if settings.steer_while_training is not None:
        raise ConfigError(
            "A rate can't be probed with `steer_while_training`: its vector is not fitted yet.",
            hint="Probe without it; the vector is part of the training alone.",
        )
    rows = {name: planned.data.rows(ref) for name, ref in fit.data.items()}
    given = {n: [r for r in some if isinstance(r, Conversation)] for n, some in rows.items()}
    learned, aside = settings.shared_out(given["conversations"])
    data = sft.Data(learned, given.get("held_out", aside))
    assert fit.model is not None
    say(f"loading the model {fit.model.id} ({fit.model.dtype})")
    engine = engines.Engine(load_model(resolve(fit.model)))
    table = Table(
        *("rate", "first loss", "last loss", "held out: before -> after", "drift from the base"),
        title=f"{steps} updates of {settings.batch} conversations at each rate (nats per label)",
    )
    seed = derive_seed(fit.seed, fit.key)
    for tried in probing.probe(engine, settings, data, rates, steps=steps, seed=seed):
        say(f"learning rate {tried.rate:g}: done")
        table.add_row(f"{tried.rate:g}", *_cells(tried))
    console = wide_console()
    console.print(table)
    if not data.held_out:
        console.print("Give `held_out` or `held_out_share` to see what else moves.")


def _cells(tried: probing.Tried) -> list[str]:
    if tried.failed is not None:
        return [tried.failed, "", "", ""]
    held = tried.held_out or {}
    looks = ", ".join(f"{name} {a:.3f} -> {b:.3f}" for name, (a, b) in held.items())
    drift = "" if tried.drift is None else f"{tried.drift:.4f}"
    return [f"{tried.first:.3f}", f"{tried.last:.3f}", looks, drift]


def _fit(planned: PlannedRun, condition: str | None) -> FitPlan:
    fits = {
        key: fit
        for fit in planned.plan.fits
        if "train" in fit.component.config and fit.component.name == "adapter"
        for key in fit.artifacts.values()
    }
    by_condition = {
        cell.condition: fits[key]
        for cell in planned.plan.cells
        for key in cell.artifacts.values()
        if key in fits
    }
    if condition is None and len({fit.key for fit in by_condition.values()}) == 1:
        return next(iter(by_condition.values()))
    if condition in by_condition:
        return by_condition[condition]
    if not by_condition:
        raise ConfigError("The experiment trains no adapter, so there is no rate to probe.")
    raise ConfigError(
        f"--condition {condition!r} is none that trains an adapter. "
        f"{did_you_mean(condition or '', by_condition)}"
    )
