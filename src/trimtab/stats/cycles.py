"""Whether a series repeats itself with a period that is known.

Shapes: N values, one after the other in equal steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from trimtab.core.lazy import lazy

if TYPE_CHECKING:
    from scipy import signal, special
else:
    signal, special = lazy("scipy.signal"), lazy("scipy.special")


@dataclass(frozen=True)
class Cycle:
    """How far a series is the same in every cycle.

    Attributes:
        cycles: Whole cycles that were compared, the last ones.
        share: Of the variance left by a straight line, what lies between places in the cycle
            (eta squared). That is the power at the period and at its harmonics.
        expected: The share of independent values.
        p: Of so large a share among independent normal values (one-way analysis of variance).
    """

    cycles: int
    share: float
    expected: float
    p: float


def cycle(values: Sequence[float], period: int) -> Cycle | None:
    """Return how far ``values`` repeat themselves every ``period`` steps.

    None where there is nothing to compare: fewer than two whole cycles, a period of one step, or
    values on a straight line.
    """
    cycles = len(values) // period if period > 1 else 0
    if cycles < 2:
        return None
    series_N = np.asarray(values[len(values) - cycles * period :], dtype=float)
    if not np.ptp(series_N):
        return None
    rest_N = signal.detrend(series_N)
    total = float((rest_N**2).sum())
    if total <= 1e-12 * float((series_N**2).sum()):
        return None
    place_CP = rest_N.reshape(cycles, period)
    between = cycles * float(((place_CP.mean(axis=0) - rest_N.mean()) ** 2).sum())
    share = min(between / total, 1.0)
    above, below = period - 1, (cycles - 1) * period
    ratio = np.inf if share == 1.0 else (share / above) / ((1 - share) / below)
    p = float(special.fdtrc(above, below, ratio)) if np.isfinite(ratio) else 0.0
    return Cycle(cycles, share, above / (above + below), p)


def periodogram(values: Sequence[float]) -> list[tuple[float, float]]:
    """Return the share of the variance at each Fourier period, the longest first.

    A straight line is taken out before; there is none of a constant or of fewer than four values.
    """
    if len(values) < 4 or not np.ptp(values):
        return []
    frequency_F, power_F = signal.periodogram(np.asarray(values, dtype=float), detrend="linear")
    total = float(power_F[1:].sum())
    if total <= 0:
        return []
    return [
        (1 / float(f), float(power) / total)
        for f, power in zip(frequency_F[1:], power_F[1:], strict=True)
    ]
