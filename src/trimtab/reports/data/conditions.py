"""The conditions of a run: what each is there for, and the pools of those that belong together."""

from __future__ import annotations

import math
from collections.abc import Sequence

from trimtab.core.plan import Cell
from trimtab.reports.data.banks import pools_of_vectors
from trimtab.reports.data.numbers import Condition
from trimtab.reports.data.source import RunSource

BASELINE, ZERO, TREATMENT = "baseline", "zero", "treatment"
PROMPT, RANDOM, CONTROL = "prompt", "random", "control"
VECTOR = "vector"
"""One of several vectors of a bank; what is tested is their pool, a treatment."""
POOLED = "pooled"
"""Random vectors that differ in nothing but the draw."""
_STRENGTH = "strength"


def conditions(run: RunSource) -> tuple[Condition, ...]:
    """Return every condition in plan order, then the pools."""
    first: dict[str, Cell] = {}
    for cell in run.plan.cells:
        first.setdefault(cell.condition, cell)
    single = [
        Condition(
            condition=label,
            role=cell.role,
            group=group_of(cell),
            intervention=cell.intervention.name,
            coordinates=dict(cell.coordinates),
        )
        for label, cell in first.items()
    ]
    vectors = [condition for condition in single if condition.group == VECTOR]
    return (*single, *_pools(single), *pools_of_vectors(run, vectors, first))


def group_of(cell: Cell) -> str:
    """Return what a condition is in tables and figures: a role, a control by its kind, a vector."""
    if "vector" in cell.coordinates:
        return VECTOR
    if cell.role != "control":
        return cell.role
    return cell.control if cell.control in (PROMPT, RANDOM) else CONTROL


def strength(condition: Condition) -> float | None:
    """Return the strength of a condition in its own unit; None if it has none."""
    return _number(condition, _STRENGTH)


def layer(condition: Condition) -> float | None:
    """Return the block that a condition acts on; None if it names none."""
    return _number(condition, "layer")


def unit(condition: Condition) -> str:
    """Return the unit of its strength: raw, unit, relative; empty if it says none."""
    return str(condition.coordinates.get("unit", ""))


def series(condition: Condition) -> str:
    """Return which line of a figure it belongs to."""
    name = str(condition.coordinates.get("series", condition.intervention))
    at = layer(condition)
    return name if at is None else f"{name}, layer {at:g}"


def same_size(left: float | None, right: float | None) -> bool:
    """Whether two strengths have the same size, whatever their sign."""
    if left is None or right is None:
        return False
    return math.isclose(abs(left), abs(right), rel_tol=1e-9)


def _number(condition: Condition, name: str) -> float | None:
    value = condition.coordinates.get(name)
    return float(value) if isinstance(value, int | float) else None


def _pools(single: Sequence[Condition]) -> list[Condition]:
    """Return a pooled condition for random vectors that differ in nothing but the draw."""
    draws: dict[tuple[float | str | None, float | str | None], list[Condition]] = {}
    for condition in single:
        if condition.group == RANDOM:
            place = condition.coordinates
            draws.setdefault((place.get(_STRENGTH), place.get("layer")), []).append(condition)
    several = len(draws) > 1
    return [
        members[0].model_copy(
            update={
                "group": POOLED,
                "condition": f"random{_place(members[0]) if several else ''}, pooled",
                "coordinates": {k: v for k, v in members[0].coordinates.items() if k != "draw"},
                "members": tuple(member.condition for member in members),
            }
        )
        for members in draws.values()
        if len(members) > 1
    ]


def _place(condition: Condition) -> str:
    size, at = strength(condition), layer(condition)
    return ("" if size is None else f" {size:+g}") + ("" if at is None else f" layer {at:g}")
