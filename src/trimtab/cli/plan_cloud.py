"""``plan --on cloud``: which rented machines a plan fits on, and what it would cost there."""

from __future__ import annotations

from pathlib import Path

from rich.table import Table

from trimtab.cli.plan_hours import duration, hours_on
from trimtab.cli.terminal import say, wide_console
from trimtab.compute.cloud.providers.base import MachineType
from trimtab.compute.cloud.settings import machine_types
from trimtab.core.counted import counted
from trimtab.runs.plan.amounts import Amounts
from trimtab.runs.store.run import Run
from trimtab.runs.usage.memory import Need

_COLUMNS = ("machine", "GPUs", "GPU memory", "dollars an hour", "can be had", "hours", "dollars")
_LEAST = "at least "
_MOST = 12
"""Machines that are listed, the cheapest first."""


def show(run: Run, owed: Amounts, settings: Path | None) -> None:
    """Print the cheapest machines that a worker fits on, one worker for each GPU.

    Raises:
        ConfigError: There are no settings of a provider, or the key is refused.
        StoreError: The provider gives no answer.
    """
    need = Need(run).bytes / 2**30
    types = sorted(machine_types(settings), key=lambda each: each.dollars_per_hour)
    fitting = [each for each in types if _fits(each, need)]
    table = Table()
    for name in _COLUMNS:
        table.add_column(name, justify="left" if name in ("machine", "can be had") else "right")
    rows = [_row(run, owed, each) for each in fitting[:_MOST]]
    for row in rows:
        table.add_row(*row)
    say(f"a worker needs about {need:.1f} GiB; a machine has a worker for each GPU")
    if table.row_count:
        wide_console().print(table)
    if any(_LEAST in cell for row in rows for cell in row):
        say("at least: a judge's own model was not measured on that GPU, and is left out")
    left = len(types) - len(fitting)
    if left:
        say(f"{counted(left, 'kind')} of machine left out: too little memory for a worker")
    if len(fitting) > _MOST:
        say(f"{counted(len(fitting) - _MOST, 'dearer kind')} not shown: `trimtab cloud types`")


def _fits(machine: MachineType, need: float) -> bool:
    """Return whether a worker has room; what the provider does not say is no reason against it."""
    memory = machine.gpu_memory_gib if machine.gpus else machine.memory_gib
    return memory is None or memory >= need


def _row(run: Run, owed: Amounts, machine: MachineType) -> tuple[str, ...]:
    alone = hours_on(run, owed, machine.gpu)
    hours = None if alone is None else alone[0] / max(1, machine.gpus)
    least = _LEAST if alone is not None and not alone[1] else ""
    dollars = None if hours is None else hours * machine.dollars_per_hour
    memory = "" if machine.gpu_memory_gib is None else f"{machine.gpu_memory_gib:g} GiB"
    return (
        machine.name,
        f"{machine.gpus} {machine.gpu}".strip(),
        memory,
        f"{machine.dollars_per_hour:.2f}",
        ", ".join(machine.regions) or "nowhere now",
        "not measured" if hours is None else f"{least}{duration(hours)}",
        "" if dollars is None else f"{least}{dollars:,.2f}",
    )
