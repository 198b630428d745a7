"""Numbers of several seeds in a table, their intervals cut at what is possible."""

from __future__ import annotations

import math

from trimtab.reports.data.seeds import OverSeeds
from trimtab.reports.draw.values import Cell, Value


def share(value: OverSeeds) -> Cell:
    """Return a share, a grade or a reward, which are from 0 to 1."""
    return _cell(value.within(0.0, 1.0))


def difference(value: OverSeeds, most: float = 1.0) -> Cell:
    """Return a difference of two shares, or with ``most`` 2 of two such differences."""
    return _cell(value.within(-most, most), signed=True)


def divergence(value: OverSeeds) -> Cell:
    """Return a divergence, which has no upper end."""
    return _cell(value.within(0.0, math.inf))


def _cell(value: OverSeeds, *, signed: bool = False) -> Cell:
    return Value(value.mean, value.low, value.high, signed=signed)
