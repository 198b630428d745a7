"""An experiment reduced to its zero check: a baseline, and every intervention at strength 0."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from trimtab.core.keys import content_key
from trimtab.core.plan import Cell, FitPlan, Plan
from trimtab.core.spec import Component
from trimtab.core.types import Record
from trimtab.interventions.base import INTERVENTIONS
from trimtab.runs.plan.planner import PlannedRun
from trimtab.runs.store.create import FOLDERS


@dataclass(frozen=True)
class ZeroCheck:
    """What is to be run.

    Attributes:
        plan: The cells, each of one completion per sample, and the fits that they need.
        data: Their data, by folder and key.
        left_out: What can't be tried, and why, a line each.
    """

    plan: Plan
    data: Mapping[str, Mapping[str, Sequence[Record]]]
    left_out: tuple[str, ...]


def zeroed(planned: PlannedRun, limit: int) -> ZeroCheck:
    """Return the zero check of an experiment on the first ``limit`` samples of each set."""
    cells: dict[str, Cell] = {}
    left_out = []
    samples = {}
    # conditions that are at strength 0 already come first, so that they keep their names
    for cell in sorted(planned.plan.cells, key=lambda cell: cell.role != "zero"):
        component = at_zero(cell.intervention)
        if component is None:
            continue
        if _needs(component) != _needs(cell.intervention):
            left_out.append(
                f"{cell.condition} ({cell.measure}): at strength 0 it would be fitted otherwise"
            )
            continue
        rows = planned.data.samples[cell.samples][:limit]
        key = content_key(rows)
        samples[key] = rows
        for reduced in _pair(cell, component, key):
            cells.setdefault(reduced.key, reduced)
    used = {key for cell in cells.values() for key in cell.artifacts.values()}
    fits = _making(planned.plan.fits, used)
    data: dict[str, dict[str, Sequence[Record]]] = {"samples": dict(samples)}
    for ref in (ref for fit in fits for ref in fit.data.values()):
        data.setdefault(FOLDERS[ref.kind], {})[ref.key] = planned.data.rows(ref)
    head = planned.plan.model_dump(include={"recipe", "name", "baseline", "window", "seed"})
    return ZeroCheck(
        Plan.single(cells=list(cells.values()), fits=fits, **head), data, tuple(left_out)
    )


def at_zero(component: Component) -> Component | None:
    """Return an intervention at strength 0; None if it has no strength."""
    changes = INTERVENTIONS.build(component.name, component.config).zeroed()
    if not changes:
        return None
    return Component(name=component.name, config={**component.config, **changes})


def _making(fits: Sequence[FitPlan], keys: set[str]) -> list[FitPlan]:
    """Return the fits that make artifacts, and those that they wait for, in plan order."""
    wanted = set(keys)
    for fit in reversed(fits):  # what a fit waits for stands before it
        if wanted & set(fit.artifacts.values()):
            wanted |= set(fit.made.values())
    return [fit for fit in fits if wanted & set(fit.artifacts.values())]


def _needs(component: Component) -> object:
    return INTERVENTIONS.build(component.name, component.config).needs()


def _pair(cell: Cell, component: Component, samples: str) -> tuple[Cell, Cell]:
    """Return the baseline of ``cell`` on some samples, and ``component`` in its place."""
    config = INTERVENTIONS.build(component.name, component.config).config
    same = {"samples": samples, "num_samples": 1, "reused": 0, "control": None, "coordinates": {}}
    of = [cell.measure, samples, cell.model_identity]
    baseline = {
        "key": content_key(["baseline", *of]),
        "condition": "baseline",
        "role": "baseline",
        "intervention": Component(name="none"),
        "artifacts": {},
    }
    zero = {
        "key": content_key(["zero", *of, component.name, config, cell.artifacts]),
        "condition": cell.condition if cell.role == "zero" else f"{cell.condition}, at 0",
        "role": "zero",
        "intervention": component,
    }
    return cell.model_copy(update={**same, **baseline}), cell.model_copy(update={**same, **zero})
