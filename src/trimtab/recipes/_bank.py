"""A bank of vectors as conditions: each vector of each size at each strength."""

from __future__ import annotations

from pydantic import Field, field_validator

from trimtab.core.spec import Spec
from trimtab.recipes._conditions import Condition, Place
from trimtab.recipes._steering import Steering, vector


class Bank(Spec):
    """Vectors from random subsets of the questions, whose spread goes into the interval.

    Attributes:
        vectors: Vectors at each size; 0 leaves the bank out.
        sizes: Questions per vector.
        strengths: Their strengths; null takes the steering strengths.
    """

    vectors: int = Field(default=0, ge=0)
    sizes: tuple[int, ...] = (50,)
    strengths: tuple[float, ...] | None = None

    @field_validator("vectors")
    @classmethod
    def _not_one(cls, value: int) -> int:
        if value == 1:
            raise ValueError("one vector has no spread: ask for 2 or more, or 0 for no bank")
        return value


def bank_conditions(bank: Bank, layer: int | str, steering: Steering) -> list[Condition]:
    """Return a condition for each vector of the bank, at each strength and size."""
    drawn = {"sizes": list(bank.sizes), "vectors": bank.vectors}
    conditions = []
    for size in bank.sizes if bank.vectors else ():
        for strength in sorted(bank.strengths or steering.strengths):
            for k in range(bank.vectors):
                place: Place = {
                    "series": f"bank of {size}",
                    "strength": strength,
                    "unit": steering.unit,
                    "layer": layer,
                    "size": size,
                    "vector": k,
                }
                acting = vector("bank", layer, strength, steering, **drawn, size=size, vector=k)
                label = f"bank of {size} {strength:+g} #{k + 1}"
                conditions.append(Condition(label, "treatment", acting, place=place))
    return conditions
