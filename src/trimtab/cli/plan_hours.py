"""How long a plan takes on the machines that ``trimtab calibrate`` measured. No torch."""

from __future__ import annotations

import re
import socket

from rich.table import Table

from trimtab.cli.estimates import left_out
from trimtab.cli.terminal import say, wide_console
from trimtab.core.counted import counted
from trimtab.core.errors import ModelError
from trimtab.core.spec import ModelSpec
from trimtab.models.load import resolve
from trimtab.runs.plan.amounts import Amount, Amounts, PlanRows, amounts
from trimtab.runs.store.run import Run
from trimtab.runs.usage.calibrations import Calibration, kept
from trimtab.runs.usage.memory import planned_models

_HOUR_S = 3600.0
_GPU = re.compile(r"\b[A-Z]+[0-9]+[A-Z0-9]*\b")


def show_hours(run: Run, owed: Amounts, workers: int, price: float | None) -> None:
    """Print how long what is owed takes on each kind of machine that is known."""
    known = kept()
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
    for key, amount in owed.models.items():
        rows = _speeds(known, key, models[key])
        for one, scaled in rows:
            hours = _seconds(amount, one) * scaled / _HOUR_S
            here = " (this one)" if one.host == socket.gethostname() else ""
            whose = "it" if scaled == 1 else f"{one.model}, by size"
            # each worker is paid while it works, so their number changes the time alone
            dollars = "" if price is None else f"{hours * price:,.2f}"
            shares = (duration(hours), duration(hours / workers), dollars)
            table.add_row(f"{one.kind}{here}", models[key].id, whose, *shares)
        unknown += [] if rows else [models[key].id]
    if table.row_count:
        wide_console().print(table)
        say(caveat(owed))
    for name in unknown:
        say(f"how long {name} takes is not known of any machine: `trimtab calibrate {name}`")


def amounts_of(run: Run) -> Amounts:
    """Return what the plan of a run takes as it stands."""
    rows = PlanRows(lambda key: run.samples(key).values(), run.data)
    return amounts(run.plan, run.judges(), rows)


def caveat(owed: Amounts) -> str:
    """Return what hours assume and leave out."""
    return (
        "Hours are as if every text had its greatest length and every worker were always busy"
        f"{left_out(owed)}; machines as `trimtab calibrate` measured them."
    )


def hours_on(run: Run, owed: Amounts, gpu: str) -> tuple[float, bool] | None:
    """Return the hours of one worker on a GPU of that name; None where nobody measured it.

    The second is whether they are all: judges whose own models nobody measured are left out.

    Names are compared by what is letters and digits in them: ``H100 (80 GB PCIe)`` is an
    ``NVIDIA H100 80GB HBM3``, and an A10 is no A100.
    """
    name = _GPU.search(gpu)
    known = [one for one in kept() if name and name[0] in _GPU.findall(one.hardware)]
    subjects = {cell.model_identity for cell in run.plan.cells}
    models, total, whole = planned_models(run), 0.0, True
    for key, amount in owed.models.items():
        rows = _speeds(known, key, models[key])
        if not rows:
            if key in subjects:
                return None
            whole = False
            continue
        total += min(_seconds(amount, one) * scaled for one, scaled in rows) / _HOUR_S
    return total, whole


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


def _seconds(amount: Amount, one: Calibration) -> float:
    read = amount.read / one.forward + amount.learned / one.train
    return read + amount.written / one.generate


def duration(hours: float) -> str:
    """Return hours in words, or minutes where there is less than one."""
    return f"{hours:,.1f} h" if hours >= 1 else f"{hours * 60:,.1f} min"
