"""The conditions of a run: what each is there for, and the pools of those that belong together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from trimtab.core.keys import content_key
from trimtab.core.plan import Cell
from trimtab.reports.data.banks import pools_of_vectors
from trimtab.reports.data.numbers import Condition
from trimtab.reports.data.source import PlanSource

BASELINE, ZERO, TREATMENT = "baseline", "zero", "treatment"
PROMPT, RANDOM, CONTROL = "prompt", "random", "control"
VECTOR = "vector"
"""One of several vectors of a bank; what is tested is their pool, a treatment."""
POOLED = "pooled"
"""Random vectors that differ in nothing but the draw."""
_STRENGTH = "strength"
_WHERE = (("layer", None), ("positions", "generated"))
"""Settings that say where a vector acts, with their defaults."""


def conditions(run: PlanSource) -> tuple[Condition, ...]:
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
    pools = pools_of_vectors(run, vectors, first)
    drawn: dict[tuple[object, ...], list[Condition]] = defaultdict(list)
    for condition in single:
        if condition.group == RANDOM:
            drawn[_length_and_place(condition)].append(condition)
    return (
        *(_beside_randoms(condition, drawn, first) for condition in single),
        *_pools(single, first),
        *(_beside_randoms(condition, drawn, first) for condition in pools),
    )


def _length_and_place(condition: Condition) -> tuple[object, ...]:
    """Return the size of a condition's strength and where it acts; a random one has no sign."""
    size = strength(condition)
    rounded = None if size is None else float(f"{abs(size):.9g}")
    return rounded, condition.coordinates.get("layer"), condition.coordinates.get("unit")


def _beside_randoms(
    condition: Condition,
    drawn: Mapping[tuple[object, ...], Sequence[Condition]],
    cells: Mapping[str, Cell],
) -> Condition:
    """Return a treatment with the labels of the random vectors of its length."""
    if condition.group != TREATMENT or strength(condition) is None:
        return condition
    mine = cells[condition.members[0] if condition.members else condition.condition]
    series = series_name(condition)
    labels = tuple(
        other.condition
        for other in drawn.get(_length_and_place(condition), ())
        if other.coordinates.get("of", series) == series
        and _same_length(mine, cells[other.condition])
    )
    return condition.model_copy(update={"randoms": labels}) if labels else condition


def _same_length(cell: Cell, drawn: Cell) -> bool:
    """Whether a random vector acts where a treatment does, with the length of its vector."""
    mine, other = cell.intervention.config, drawn.intervention.config
    if any(mine.get(name, default) != other.get(name, default) for name, default in _WHERE):
        return False
    if bool(mine.get("gate")) != bool(other.get("gate")):
        return False
    # other units say how long what is added is; raw ones and automatic layers go by the fit
    by_fit = mine.get("unit") == "raw" or mine.get("layer") == "auto"
    made, like = set(cell.artifacts.values()), set(drawn.artifacts.values())
    return not by_fit or made == like == set() or bool(made & like)


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
    name, at = series_name(condition), layer(condition)
    return name if at is None else f"{name}, layer {at:g}"


def series_name(condition: Condition) -> str:
    """Return what is the same for all its strengths."""
    return str(condition.coordinates.get("series", condition.intervention))


def _number(condition: Condition, name: str) -> float | None:
    value = condition.coordinates.get(name)
    return float(value) if isinstance(value, int | float) else None


def _pools(single: Sequence[Condition], cells: Mapping[str, Cell]) -> list[Condition]:
    """Return a pooled condition for random vectors that differ in nothing but the draw."""
    draws: dict[tuple[object, ...], list[Condition]] = defaultdict(list)
    for condition in single:
        if condition.group == RANDOM:
            draws[_but_the_draw(condition, cells[condition.condition])].append(condition)
    names = _names_of_pools(list(draws.values()))
    return [
        members[0].model_copy(
            update={
                "group": POOLED,
                "condition": f"random, pooled{f' ({name})' * (len(draws) > 1)}",
                "coordinates": {k: v for k, v in members[0].coordinates.items() if k != "draw"},
                "members": tuple(member.condition for member in members),
            }
        )
        for name, members in zip(names, draws.values(), strict=True)
        if len(members) > 1
    ]


def _but_the_draw(condition: Condition, cell: Cell) -> tuple[object, ...]:
    """Return all that random vectors of one length at one place have in common."""
    place = condition.coordinates.get(_STRENGTH), condition.coordinates.get("layer")
    drawn = ("draw", "seed")
    config = {k: v for k, v in cell.intervention.config.items() if k not in drawn}
    return *place, content_key(config), frozenset(cell.artifacts.values())


def _names_of_pools(pools: Sequence[Sequence[Condition]]) -> list[str]:
    """Return names by place; where these are not enough, by the name of members, or of one."""
    first = [members[0] for members in pools]
    kinds = [
        [_place(one) for one in first],
        [one.condition.rpartition(" #")[0].removeprefix("random for ") for one in first],
        [one.condition for one in first],
    ]
    return next((names for names in kinds if len({*names}) == len(names)), kinds[-1])


def _place(condition: Condition) -> str:
    size, at = strength(condition), layer(condition)
    parts = [None if size is None else f"{size:+g}", None if at is None else f"layer {at:g}"]
    return " ".join(filter(None, parts))
