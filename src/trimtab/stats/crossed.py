"""Intervals of a mean over rows *and* over repetitions: vectors of a bank, seeds of a training.

Every repetition is measured on the same rows, so the two are crossed. The mean's error has a part
from the rows, which a bootstrap over clusters gives, and a part from the repetitions, which falls
with their number. The half-widths of both intervals are added in quadrature (the method of variance
estimates recovery of Zou and Donner, Statistics in Medicine 27, 2008). The part that repetitions
and rows share is in both, so the interval is rather too wide than too narrow.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trimtab.core.lazy import lazy
from trimtab.stats.intervals import Interval, undefined_interval

if TYPE_CHECKING:
    from scipy import special
else:
    special = lazy("scipy.special")


@dataclass(frozen=True)
class Spread:
    """How much repetitions differ.

    Attributes:
        num: Repetitions.
        mean: Mean over them.
        sd: Standard deviation of one repetition, see ``spread``; None where it can't be known.
        low: Smallest.
        high: Largest.
    """

    num: int
    mean: float
    sd: float | None
    low: float
    high: float


def spread(means: Sequence[float], share: float = 0.0) -> Spread:
    """Return how much the repetitions' ``means`` differ.

    Args:
        means: One mean per repetition, all over the same rows.
        share: Part of a finite set that each repetition drew without replacement. Such draws
            overlap, so they differ less than fresh ones: variances are divided by ``1 - share``.
            At 1 all draws are the same and their spread is unknown.

    Raises:
        ValueError: ``means`` is empty, or ``share`` is not within 0..1.
    """
    if not means or not 0 <= share <= 1:
        raise ValueError(f"spread: {len(means)} means and share={share}; need one, within 0..1")
    mean = math.fsum(means) / len(means)
    sd = None
    if len(means) > 1 and share < 1:
        squares = math.fsum((value - mean) ** 2 for value in means)
        sd = math.sqrt(squares / (len(means) - 1) / (1 - share))
    return Spread(len(means), mean, sd, min(means), max(means))


def crossed_interval(
    mean: float, rows: Interval, repetitions: Spread, noun: str = "vector"
) -> Interval:
    """Return the interval of a mean over rows and repetitions.

    Args:
        mean: The mean of all.
        rows: Its interval where only the rows are random.
        repetitions: How much the repetitions differ.
        noun: What one of them is called.
    """
    if repetitions.sd is None:
        reason = f"the spread of one {noun}, or of equal ones, is unknown"
        return undefined_interval(rows.level, reason)
    if not rows.is_defined:
        return rows
    quantile = float(special.stdtrit(repetitions.num - 1, (1 + rows.level) / 2))
    across = quantile * repetitions.sd / math.sqrt(repetitions.num)
    return Interval(
        mean - math.hypot(mean - rows.low, across),
        mean + math.hypot(rows.high - mean, across),
        rows.level,
        f"{rows.method}, and t over {repetitions.num} {noun}s",
    )


def crossed_p_value(mean: float, rows: Interval, repetitions: Spread) -> float | None:
    """Return the two-sided p-value of a mean of zero; None where no interval is defined.

    Standard errors are read off the rows' interval and the repetitions' spread and added in
    quadrature; Student's t has Welch and Satterthwaite's degrees of freedom, where the rows' part
    counts as known.
    """
    if repetitions.sd is None or not rows.is_defined:
        return None
    normal = float(special.ndtri((1 + rows.level) / 2))
    from_rows = ((rows.high - rows.low) / 2 / normal) ** 2
    across = repetitions.sd**2 / repetitions.num
    error = math.sqrt(from_rows + across)
    if error == 0:
        return None
    freedom = math.inf if across == 0 else (repetitions.num - 1) * (1 + from_rows / across) ** 2
    return float(2 * special.stdtr(freedom, -abs(mean) / error))
