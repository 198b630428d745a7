"""Take finished rows over from another run, so that a larger run extends a smaller one.

A row depends on its cell's key, its sample and its index, and on nothing else of the plan. So rows
of a cell with the same key can be moved into a new run; what has been there is not made again.
"""

from __future__ import annotations

from trimtab.core.errors import ConfigError
from trimtab.core.plan import Cell, Plan
from trimtab.core.types import Completion
from trimtab.runs.store.run import Run


def take_over(plan: Plan, old: Run) -> tuple[Plan, dict[str, list[Completion]]]:
    """Return ``plan`` with its cells marked, and the rows of ``old`` that they begin with, by key.

    A cell takes the indices from 0 on that ``old`` has for every sample. Rows of a started index
    are left behind: those are generated in the windows of the new run.

    Raises:
        ConfigError: No row of ``old`` belongs to a cell of ``plan``.
    """
    known = {cell.key for cell in old.plan.cells}
    cells: list[Cell] = []
    rows: dict[str, list[Completion]] = {}
    for cell in plan.cells:
        found = old.completions(cell.key) if cell.key in known else {}
        samples = old.samples(cell.samples) if found else {}
        full = 0
        while full < cell.num_samples and samples:
            if any((cell.key, sample, full) not in found for sample in samples):
                break
            full += 1
        cells.append(cell.model_copy(update={"reused": full}))
        if full:
            rows[cell.key] = [row for key, row in found.items() if key[2] < full]
    if not rows:
        raise ConfigError(
            f"No row of {old.dir} belongs to this experiment: no cell has the same model, task, "
            f"samples, intervention, sampling and seed.",
            hint="Change nothing but the number of candidates, or leave out --reuse.",
        )
    (fragment,) = plan.fragments
    marked = fragment.model_copy(update={"cells": tuple(cells)})
    return plan.model_copy(update={"fragments": (marked,)}), rows
