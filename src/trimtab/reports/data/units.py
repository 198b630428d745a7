"""Means of questions, exactly rounded whatever the order of what they are means of.

Dimensions: U questions of a block, N rows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from trimtab.reports.data.cells import Ints
from trimtab.reports.data.metrics import Floats


def unit_means(units_N: Ints, values_N: Floats, num_units: int) -> Floats:
    """Return the mean of each question's values, [U]; NaN where it has none.

    Args:
        units_N: The question of each value, from 0.
        values_N: The values; NaN is missing and enters no mean.
        num_units: How many questions there are.
    """
    scored = ~np.isnan(values_N)
    units, values = units_N[scored], values_N[scored]
    means_U = np.full(num_units, math.nan)
    single = np.bincount(units, minlength=num_units)[units] == 1
    means_U[units[single]] = values[single]
    units, values = units[~single], values[~single]
    order = np.argsort(units, kind="stable")
    several, starts = np.unique(units[order], return_index=True)
    for unit, group in zip(several, np.split(values[order], starts[1:]), strict=False):
        means_U[unit] = math.fsum(group.tolist()) / group.size
    return means_U


def mean_over(parts: Sequence[Floats]) -> Floats:
    """Return each question's mean over the conditions that have a value of it, [U]."""
    (num_units,) = parts[0].shape
    return unit_means(np.tile(np.arange(num_units), len(parts)), np.concatenate(parts), num_units)
