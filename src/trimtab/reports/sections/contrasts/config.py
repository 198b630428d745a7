"""What a section of contrasts is told: names of coordinates, and what counts as success."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from trimtab.core.spec import Spec

Quantity = Literal["triggered", "leakage", "gap", "difference"]
QUANTITIES: tuple[Quantity, ...] = ("triggered", "leakage", "gap", "difference")


class Bound(Spec):
    """What an interval must lie above, below, or between; in the unit of the metric (0.6 of 1)."""

    above: float | None = Field(default=None, allow_inf_nan=False)
    below: float | None = Field(default=None, allow_inf_nan=False)

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.above is None and self.below is None:
            raise ValueError("a bound needs `above` or `below`")
        return self


class SuccessRule(Spec):
    """What must hold for an experiment to have worked, said before it is run.

    A bound holds where the whole interval lies on its side, so that a value on the right side
    whose interval reaches over does not pass.

    Attributes:
        metric: Which metric, by its name or its name in one measure.
        treatment: Of which treatment; null is every one whose cells are treatments.
        trigger: With which trigger; null is the first one of the plan.
        triggered: Of the rate with the trigger.
        leakage: Of the rate without it.
        gap: Of their difference.
        difference: Of that gap less the base model's.
    """

    metric: str
    treatment: str | None = None
    trigger: str | None = None
    triggered: Bound | None = None
    leakage: Bound | None = None
    gap: Bound | None = None
    difference: Bound | None = None

    @property
    def bounds(self) -> dict[Quantity, Bound]:
        """The bounds that are given."""
        given = {name: getattr(self, name) for name in QUANTITIES}
        return {name: bound for name, bound in given.items() if bound is not None}

    @model_validator(mode="after")
    def _demands_something(self) -> Self:
        if not self.bounds:
            raise ValueError(f"a rule needs a bound on one of {', '.join(QUANTITIES)}")
        return self


class ContrastsConfig(Spec):
    """Which coordinates of cells span the squares.

    Attributes:
        treatment: The coordinate that says what was done to the model.
        trigger: The coordinate that says what the prompt has.
        base: The treatment that is compared with; null is that of the plan's baseline.
        untriggered: The trigger that is none; null is that of the plan's baseline.
        repeats: The coordinate by which cells repeat each other: the seed of a training.
        steps: The coordinate along which only the last cell is a result: a training's checkpoints.
        metrics: Metrics that are shown beside those that measure an effect, by name.
        rule: What counts as success; null judges nothing.
    """

    treatment: str = "treatment"
    trigger: str = "trigger"
    base: str | None = None
    untriggered: str | None = None
    repeats: str = "seed"
    steps: str = "step"
    metrics: tuple[str, ...] = ()
    rule: SuccessRule | None = None
