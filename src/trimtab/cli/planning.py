"""``plan`` and the first half of ``run``: from a YAML file to a run directory. No torch."""

from __future__ import annotations

import json
import os
import re
from collections import defaultdict
from datetime import datetime
from itertools import chain, count, islice
from pathlib import Path

from rich.table import Table

from trimtab.cli import trust
from trimtab.cli.estimates import estimates, rows_of
from trimtab.cli.power import power_lines
from trimtab.cli.terminal import wide_console
from trimtab.core import stopping
from trimtab.core.counted import counted
from trimtab.core.errors import ConfigError
from trimtab.core.plan import Cell
from trimtab.recipes.base import Recipe, RecipeConfig, load_recipe, load_winner
from trimtab.runs.plan.planner import PlannedRun
from trimtab.runs.plan.reuse import take_over
from trimtab.runs.store.run import Run
from trimtab.runs.work import checks

_MOST_COLUMNS = 6
_MOST_CONDITIONS = 200


def load(
    config: Path | None,
    overrides: tuple[str, ...] = (),
    winner: Path | None = None,
    model: str | None = None,
) -> Recipe[RecipeConfig]:
    """Return the experiment of a file, or of the winner of a search, with what is set besides.

    Args:
        config: An experiment file.
        overrides: ``key=value`` each; they hold over ``model``.
        winner: In the place of ``config``: ``best_configuration.json``, as a search writes it.
        model: Id of another model, whose further settings are the default ones.

    Raises:
        ConfigError: Neither file is given, or both, or one can't be read.
    """
    if (config is None) == (winner is None):
        raise ConfigError(
            "Give either an experiment file or --from with the winner of a search.",
            hint="For example: trimtab run my.yaml, or trimtab run --from best_configuration.json.",
        )
    given = () if model is None else (f"model={json.dumps(model)}",)
    if config is not None:
        return load_recipe(config, (*given, *overrides))
    assert winner is not None
    found = load_winner(winner, (*given, *overrides))
    if found.finding:
        wide_console().print(f"note: the search found: {found.finding}", soft_wrap=True)
    return found.recipe


def create(
    config: Path | None,
    overrides: tuple[str, ...],
    out: Path | None,
    reuse: Path | None = None,
    *,
    winner: Path | None = None,
    model: str | None = None,
) -> Run:
    """Plan an experiment and create its run directory, with rows of the run ``reuse`` if given.

    Without ``out`` it is ``runs/<name>-<date>``, with a number where that is taken. What else is
    given is that of ``load``.
    """
    return _create(load(config, overrides, winner, model), out, reuse)


def _create(recipe: Recipe[RecipeConfig], out: Path | None, reuse: Path | None = None) -> Run:
    out = out or _free_folder(recipe.config.name)
    planned = recipe.plan()
    plan, rows = (planned.plan, {}) if reuse is None else take_over(planned.plan, Run.open(reuse))
    settings = recipe.config.model_dump(mode="json")
    trust.remember(settings, plan.cells, plan.judges)
    run = Run.create(out, settings, plan, planned.data.folders(), rows)
    with stopping.going_on_with(f"trimtab resume {run.dir}"):
        checks.after_plan(run, planned.notes)
        for note in planned.notes:
            wide_console().print(f"note: {note}", soft_wrap=True)
    return run


def _free_folder(name: str) -> Path:
    stem = "-".join(re.findall(r"\w[\w.]*", name))[:60] or "run"
    first = Path("runs") / f"{stem}-{datetime.now().astimezone().date().isoformat()}"
    numbered = (first.with_name(f"{first.name}-{n}") for n in count(2))
    return next(path for path in chain([first], numbered) if not os.path.lexists(path))


def show(recipe: Recipe[RecipeConfig], out: Path | None) -> None:
    """Print what an experiment will do; with ``out``, also create the run."""
    planned, outlook = recipe.plan(), recipe.outlook()
    whole = recipe.foreseen() or planned
    console = wide_console()
    console.print(_cells_table(planned))
    for line in (
        *estimates(whole, recipe.later_tokens(planned)),
        *recipe.estimates(planned),
        *power_lines(whole),
    ):
        console.print(line, soft_wrap=True)
    if outlook is not None:
        console.print(f"That is the beginning of a plan that grows: {outlook}.", soft_wrap=True)
    for note in () if out else planned.notes:
        console.print(f"note: {note}", soft_wrap=True)
    if out is not None:
        run = _create(recipe, out)
        console.print(f"Created {run.dir}. Continue with: trimtab resume {run.dir}")


def _cells_table(planned: PlannedRun) -> Table:
    """Return a row per condition; with many measures, for which no screen is wide, one of each."""
    plan = planned.plan
    number = counted(len(plan.cells), "cell")
    table = Table(title=f"{plan.name}: {number} of recipe {plan.recipe}, rows")
    measures = list(dict.fromkeys(cell.measure for cell in plan.cells))
    if len(measures) > _MOST_COLUMNS:
        return _measures_table(planned, table, measures)
    table.add_column("condition")
    table.add_column("role")
    for measure in measures:
        table.add_column(measure, justify="right")
    conditions: dict[str, dict[str, Cell]] = defaultdict(dict)
    for cell in plan.cells:
        conditions[cell.condition][cell.measure] = cell
    for condition, cells in islice(conditions.items(), _MOST_CONDITIONS):
        role = next(iter(cells.values())).role
        counts = [str(rows_of(planned, cells[m])) if m in cells else "" for m in measures]
        table.add_row(condition, role, *counts)
    if len(conditions) > _MOST_CONDITIONS:
        table.add_row(f"and {len(conditions) - _MOST_CONDITIONS:,} more", "")
    return table


def _measures_table(planned: PlannedRun, table: Table, measures: list[str]) -> Table:
    table.add_column("measure")
    for name in ("conditions", "rows of each", "rows"):
        table.add_column(name, justify="right")
    for measure in measures:
        counts = [rows_of(planned, cell) for cell in planned.plan.cells if cell.measure == measure]
        each = " to ".join(str(n) for n in sorted({min(counts), max(counts)}))
        table.add_row(measure, str(len(counts)), each, f"{sum(counts):,}")
    return table
