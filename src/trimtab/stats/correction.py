"""What a rate would be if an imperfect judge had made no mistakes.

Both estimators combine what the judge says of all answers with its mistakes on answers that people
labelled. They carry different things over from the labelled answers to the others: Rogan and
Gladen's the two error rates, the prediction-powered one the mean error. Neither is right if the
judge errs differently on the two.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trimtab.core.lazy import lazy
from trimtab.stats.intervals import Interval, undefined_interval

if TYPE_CHECKING:
    from scipy import special
else:
    special = lazy("scipy.special")


@dataclass(frozen=True)
class Measured:
    """An estimate and the variance of its sampling distribution.

    Attributes:
        value: The estimate.
        variance: Its squared standard error.
    """

    value: float
    variance: float

    @classmethod
    def from_interval(cls, value: float, interval: Interval) -> Measured:
        """Read the variance off an interval's width, as if it were normal."""
        z = float(special.ndtri((1 + interval.level) / 2))
        half = (interval.high - interval.low) / 2
        return cls(value, (half / z) ** 2)


@dataclass(frozen=True)
class Corrected:
    """A corrected rate or difference; None with an undefined interval where there is none."""

    value: float | None
    interval: Interval


def rogan_gladen(
    rate: Measured, sensitivity: Measured, specificity: Measured, level: float = 0.95
) -> Corrected:
    """Return the true rate behind an observed one: (rate + sp - 1) / (se + sp - 1), in [0, 1].

    The interval is the delta method's, with the three estimates independent, cut to [0, 1]. There
    is no estimate where chance can't be excluded, that is where the interval of se + sp - 1
    reaches 0: then the same rate is seen whatever the truth is.

    Source: W. J. Rogan and B. Gladen, Am. J. Epidemiol. 107 (1978).
    """
    power = _power(sensitivity, specificity, level)
    if power is None:
        return Corrected(None, undefined_interval(level, "the judge is not better than chance"))
    value = (rate.value + specificity.value - 1) / power
    variance = (
        rate.variance + value**2 * sensitivity.variance + (1 - value) ** 2 * specificity.variance
    ) / power**2
    return _corrected(value, variance, level, "Rogan-Gladen, delta method", 0.0, 1.0)


def rogan_gladen_difference(
    difference: Measured, sensitivity: Measured, specificity: Measured, level: float = 0.95
) -> Corrected:
    """Return the true difference of two rates: the observed one over se + sp - 1, in [-1, 1].

    The judge must err alike in both conditions. Interval and exceptions as for ``rogan_gladen``.
    """
    power = _power(sensitivity, specificity, level)
    if power is None:
        return Corrected(None, undefined_interval(level, "the judge is not better than chance"))
    value = difference.value / power
    spread = sensitivity.variance + specificity.variance
    variance = (difference.variance + value**2 * spread) / power**2
    return _corrected(value, variance, level, "Rogan-Gladen, delta method", -1.0, 1.0)


def prediction_powered(rate: Measured, error: Measured, level: float = 0.95) -> Corrected:
    """Return the prediction-powered rate: the judge's rate plus the mean of label - verdict.

    Both samples must be drawn from the same population of answers, and independently; then the
    normal interval (cut to [0, 1]) covers whatever the judge is like.

    Args:
        rate: The judge's rate on the answers without labels.
        error: Mean of label minus verdict on the labelled answers.
        level: Nominal coverage.

    Source: A. Angelopoulos et al., Science 382 (2023), the mean with lambda = 1.
    """
    return _corrected(
        rate.value + error.value, rate.variance + error.variance, level, "PPI", 0.0, 1.0
    )


def _power(sensitivity: Measured, specificity: Measured, level: float) -> float | None:
    """Return se + sp - 1 (Youden's J); None where its interval reaches 0."""
    power = sensitivity.value + specificity.value - 1
    z = float(special.ndtri((1 + level) / 2))
    return power if power > z * math.sqrt(sensitivity.variance + specificity.variance) else None


def _corrected(
    value: float, variance: float, level: float, method: str, low: float, high: float
) -> Corrected:
    half = float(special.ndtri((1 + level) / 2)) * math.sqrt(variance)

    def cut(x: float) -> float:
        return min(high, max(low, x))

    return Corrected(cut(value), Interval(cut(value - half), cut(value + half), level, method))
