"""Numbers of several seeds in a table, their intervals cut at what is possible."""

from __future__ import annotations

import math

from trimtab.reports.data.seeds import OverSeeds
from trimtab.reports.draw.values import Cell, Value


def share(value: OverSeeds, *, signed: bool = False) -> Cell:
    """Return a share, a grade or a reward, which are from 0 to 1, or a difference of two."""
    return _cell(value.within(-1.0 if signed else 0.0, 1.0), signed=signed)


def divergence(value: OverSeeds) -> Cell:
    """Return a divergence, which has no upper end."""
    return _cell(value.within(0.0, math.inf))


def _cell(value: OverSeeds, *, signed: bool = False) -> Cell:
    return Value(value.mean, value.low, value.high, signed=signed)
