"""The interval of a sum or difference of rates that gives a bootstrap nothing to draw.

Where every question says the same (a trigger that always works, a leak that never occurs), the
means of resamples are all equal, and a width of zero would read as certainty. Rates have Wilson's
interval even then, and that of their difference follows from theirs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from trimtab.stats.intervals import Interval


def hybrid_interval(parts: Sequence[tuple[int, float, Interval]]) -> Interval:
    """Return the interval of a signed sum of rates from the intervals of the rates.

    Distances from each rate to the end of its interval on the side that matters are added in
    quadrature. Rates are taken as independent, so for paired ones it is rather too wide.

    Args:
        parts: Sign (1 or -1), rate, and the rate's interval.

    Source: R. G. Newcombe, Statistics in Medicine 17 (1998), method 10, for two rates; Zou and
    Donner, Statistics in Medicine 27 (2008), for more.
    """
    down = [m - i.low if sign > 0 else i.high - m for sign, m, i in parts]
    up = [i.high - m if sign > 0 else m - i.low for sign, m, i in parts]
    total = math.fsum(sign * mean for sign, mean, _ in parts)
    method = "hybrid of the rates' intervals"
    return Interval(total - math.hypot(*down), total + math.hypot(*up), parts[0][2].level, method)
