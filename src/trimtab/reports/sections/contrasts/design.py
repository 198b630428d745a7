"""Which conditions of a measure form squares, by the coordinates of their cells."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

from trimtab.core.plan import Cell, Plan
from trimtab.core.spec import Role
from trimtab.reports.data.blocks import Block, ConditionRows
from trimtab.reports.data.conditions import TREATMENT
from trimtab.reports.sections.contrasts.config import ContrastsConfig

T = TypeVar("T")

# What only says which line of a figure a condition belongs to.
_NAMES = ("series",)


class Spot(NamedTuple):
    """Where a condition stands: treatment, trigger, and the other coordinates by name."""

    treatment: str
    trigger: str
    place: tuple[tuple[str, float | str], ...]

    def without(self, axis: str) -> Spot:
        """Return the spot without one of its other coordinates."""
        return self._replace(place=tuple(pair for pair in self.place if pair[0] != axis))

    def at(self, axis: str) -> float | None:
        """Return where it is on an axis; None where it has no number there."""
        value = dict(self.place).get(axis)
        return float(value) if isinstance(value, int | float) else None


class Square(NamedTuple):
    """Four spots; those of the base are None where it was not measured."""

    triggered: Spot
    leakage: Spot
    base_triggered: Spot | None
    base_untriggered: Spot | None


@dataclass(frozen=True)
class Axes:
    """The coordinates, and what is none of them: see ``ContrastsConfig``."""

    config: ContrastsConfig
    base: str
    untriggered: str

    def spot(self, cell: Cell) -> tuple[Spot, str] | None:
        """Return where a cell stands and which repetition it is; None if it is in no square."""
        config, given = self.config, cell.coordinates
        if config.treatment not in given or config.trigger not in given:
            return None
        own = (config.treatment, config.trigger, config.repeats, *_NAMES)
        place = tuple(sorted((name, given[name]) for name in given if name not in own))
        spot = Spot(
            coordinate_text(given[config.treatment]), coordinate_text(given[config.trigger]), place
        )
        return spot, coordinate_text(given.get(config.repeats, ""))


def axes_of(plan: Plan, config: ContrastsConfig) -> Axes | None:
    """Return the axes of a plan; None where nothing says what base and untriggered are."""
    start = next((c.coordinates for c in plan.cells if c.condition == plan.baseline), {})
    base = config.base if config.base is not None else start.get(config.treatment)
    none = config.untriggered if config.untriggered is not None else start.get(config.trigger)
    if base is None or none is None:
        return None
    return Axes(config, coordinate_text(base), coordinate_text(none))


class Design(Generic[T]):
    """The conditions of one measure by where they stand.

    Attributes:
        spots: What there is of each spot, by repetition; in plan order.
        roles: What the first condition of each spot is there for.
    """

    def __init__(self, conditions: Iterable[tuple[Cell, T]], axes: Axes) -> None:
        """Sort ``conditions``, each with its cell; those without the coordinates are left out."""
        self.axes = axes
        self.spots: dict[Spot, dict[str, T]] = defaultdict(dict)
        self.roles: dict[Spot, Role] = {}
        for cell, rows in conditions:
            found = axes.spot(cell)
            if found is not None:
                self.spots[found[0]].setdefault(found[1], rows)
                self.roles.setdefault(found[0], cell.role)
        self._last = self._last_steps()

    def is_final(self, spot: Spot) -> bool:
        """Whether a spot is a result: it is no checkpoint, or the last one."""
        step = spot.at(self.axes.config.steps)
        return step is None or step == self._last[spot.without(self.axes.config.steps)]

    def shared(self, one: Spot, other: Spot) -> list[str]:
        """Return the repetitions that two spots have in common."""
        there = self.spots.get(other, {})
        return [seed for seed in self.spots[one] if seed in there]

    def squares(self) -> Iterator[Square]:
        """Yield every square of a treatment and a trigger, in plan order."""
        none, base = self.axes.untriggered, self.axes.base
        for spot in self.spots:
            leakage = spot._replace(trigger=none)
            if spot.treatment != base and spot.trigger != none and self.shared(spot, leakage):
                yield Square(
                    spot,
                    leakage,
                    self._base(spot.trigger, spot.place),
                    self._base(none, spot.place),
                )

    def _base(self, trigger: str, place: tuple[tuple[str, float | str], ...]) -> Spot | None:
        """Return the base's spot whose coordinates agree with ``place``, the most of them."""
        fitting = [
            spot
            for spot in self.spots
            if spot.treatment == self.axes.base
            and spot.trigger == trigger
            and set(spot.place) <= set(place)
        ]
        return max(fitting, key=lambda spot: len(spot.place), default=None)

    def _last_steps(self) -> dict[Spot, float]:
        """Return the last step of each spot, of those that the most of its seeds have."""
        steps: dict[Spot, dict[float, int]] = defaultdict(dict)
        axis = self.axes.config.steps
        for spot, seeds in self.spots.items():
            if (step := spot.at(axis)) is not None:
                steps[spot.without(axis)][step] = len(seeds)
        return {
            spot: max(step for step, seeds in found.items() if seeds == max(found.values()))
            for spot, found in steps.items()
        }


def design_of(block: Block, axes: Axes) -> Design[ConditionRows]:
    """Return the conditions of a measure with their rows."""
    conditions = block.conditions.values()
    return Design(((rows.cells[0], rows) for rows in conditions if rows.cells), axes)


def planned_contrasts(cells: Sequence[Cell], axes: Axes) -> int:
    """Return how many squares of treatments the cells of a measure form, at their last states."""
    design = Design(((cell, None) for cell in cells), axes)
    return sum(
        square.base_triggered is not None
        and square.base_untriggered is not None
        and design.roles[square.triggered] == TREATMENT
        and design.is_final(square.triggered)
        for square in design.squares()
    )


def coordinate_text(value: float | str) -> str:
    """Return a coordinate as settings and tables name it."""
    return value if isinstance(value, str) else f"{value:g}"
