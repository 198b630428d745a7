"""A grid of trainings that differ from one another in how they are trained, or on how much."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Annotated, Self

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from trimtab.core.errors import ConfigError
from trimtab.core.spec import Spec
from trimtab.recipes._conditions import Place
from trimtab.training.sft.config import AdapterTraining

Share = Annotated[float, Field(gt=0, lt=1)]
_SHARE = "share"


class Grid(Spec):
    """Settings whose every combination is trained; what is not given stays as it is elsewhere.

    Attributes:
        learning_rate: Highest rates.
        rank: Ranks of the factors; ``alpha`` stays twice as large, or whatever it is to the rank.
        epochs: Passes over the data.
        share: Shares of the rows that are the person's. For a smaller one than all rows give, the
            first facts are taken; for a larger one, the first aligned rows.
    """

    learning_rate: tuple[PositiveFloat, ...] = ()
    rank: tuple[PositiveInt, ...] = ()
    epochs: tuple[PositiveFloat, ...] = ()
    share: tuple[Share, ...] = ()

    @model_validator(mode="after")
    def _differs(self) -> Self:
        axes = self.axes
        if not axes:
            raise ValueError(f"a sweep needs values of one of {', '.join(type(self).model_fields)}")
        twice = [name for name, values in axes.items() if len(set(values)) < len(values)]
        if twice:
            raise ValueError(f"`{twice[0]}` has a value twice")
        return self

    @property
    def axes(self) -> dict[str, tuple[float, ...]]:
        """What differs, with its values."""
        given = {name: getattr(self, name) for name in type(self).model_fields}
        return {name: values for name, values in given.items() if values}

    def start(self, train: AdapterTraining, share: float) -> Point:
        """Return where a training stands whose rows are a person's to ``share``."""
        own = {**train.model_dump(), _SHARE: round(share, 3)}
        return Point({name: own[name] for name in self.axes})

    def points(self) -> Iterator[Point]:
        """Yield every combination."""
        for values in product(*self.axes.values()):
            yield Point(dict(zip(self.axes, values, strict=True)))

    def check(self, train: AdapterTraining) -> None:
        """Raise ConfigError for a sweep of what the training does not heed."""
        if self.epochs and train.steps is not None:
            raise ConfigError(
                "sweep.epochs changes nothing where train.steps is given.",
                hint="Leave out one of them.",
            )


@dataclass(frozen=True)
class Point:
    """One combination: what differs, by the names of the grid."""

    values: dict[str, float]

    @property
    def share(self) -> float | None:
        """The person's share of the rows; None is what all rows give."""
        return self.values.get(_SHARE)

    @property
    def place(self) -> Place:
        """Where its cells stand."""
        return {name: float(value) for name, value in self.values.items()}

    def train(self, settings: AdapterTraining) -> AdapterTraining:
        """Return how it is trained: ``settings`` with its own values."""
        own = {name: value for name, value in self.values.items() if name != _SHARE}
        if "rank" in own:
            own["alpha"] = settings.alpha / settings.rank * own["rank"]
        return AdapterTraining.model_validate({**settings.model_dump(), "preset": None, **own})

    def __str__(self) -> str:
        """Name what differs."""
        return ", ".join(f"{name} {value:g}" for name, value in self.values.items())
