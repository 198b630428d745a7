"""Where one effect stands among those of random vectors of its length.

A random direction has no sign: drawn again it may as well be its opposite, so what counts is how
far an effect goes, either way. Effects of random directions on one number are sums over many
dimensions, so they are taken as normal around zero, with an unknown width that the drawn vectors
tell. A vector that is nothing but another random one then has ``effect / width`` distributed as
Student's t with as many degrees of freedom as directions were drawn. A shift that all random
vectors share is counted as width, which makes the test rather too strict than too lenient.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trimtab.core.lazy import lazy
from trimtab.stats.intervals import Interval, wilson
from trimtab.stats.power import POWER, normal_quantile

if TYPE_CHECKING:
    from scipy import special
else:
    special = lazy("scipy.special")

LEAST_DIRECTIONS = 4
"""Fewer give no p-value: their width is hardly known."""


@dataclass(frozen=True)
class Position:
    """Where an effect stands among those of random vectors.

    Attributes:
        width: Root mean square of their effects.
        exceeding: How many went at least as far, either way.
        share: Share of the random vectors that go at least as far.
        interval: Its interval; only directions count as independent.
        p_value: Chance that another random vector goes as far; None of too few directions.
        test: Name of the test, or why there is none.
    """

    width: float
    exceeding: int
    share: float
    interval: Interval
    p_value: float | None
    test: str


def position_among(
    effect: float, others: Mapping[str, Sequence[float]], level: float = 0.95
) -> Position:
    """Return where ``effect`` stands among those of random vectors.

    Args:
        effect: The effect in question.
        others: For each random direction its effect at one sign or at both.
        level: Nominal coverage of the interval.

    Raises:
        ValueError: there is no random vector, or an effect is not finite.
    """
    drawn = [value for values in others.values() for value in values]
    if not drawn or not all(map(math.isfinite, [effect, *drawn])):
        raise ValueError(
            f"position_among: effect {effect} among {len(drawn)} random vectors; needs one vector "
            "or more and finite effects"
        )
    # equal up to rounding is as far
    far = [abs(value) >= abs(effect) * (1 - 1e-9) for value in drawn]
    share, directions = sum(far) / len(far), len(others)
    width = math.sqrt(math.fsum(value * value for value in drawn) / len(drawn))
    p_value, test = None, f"none: {directions} random directions are too few"
    if directions >= LEAST_DIRECTIONS:
        p_value, test = _chance(effect, width, directions), f"t, {directions} random directions"
    return Position(
        width=width,
        exceeding=sum(far),
        share=share,
        interval=wilson(share * directions, directions, level),
        p_value=p_value,
        test=test,
    )


def times_width(directions: int, significance: float) -> float:
    """Return how many times the width of random effects an effect must be to be significant."""
    return float(special.stdtrit(directions, 1 - significance / 2))


def detectable_among(directions: int, significance: float) -> float:
    """Return the true effect that is called more than random vectors' in four runs of five.

    In standard errors of an effect, where random vectors do nothing but to add such errors: the
    usual normal approximation of the noncentral t distribution.
    """
    times = times_width(directions, significance)
    return times + normal_quantile(POWER) * math.sqrt(1 + times**2 / (2 * directions))


def _chance(effect: float, width: float, directions: int) -> float:
    if effect == 0:
        return 1.0
    if width == 0:
        return 0.0
    return 2 * float(special.stdtr(directions, -abs(effect) / width))
