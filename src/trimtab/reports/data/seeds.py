"""Numbers over seeds: the seed is the unit."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from trimtab.reports.data.cohorts import mean_known
from trimtab.reports.data.content import Content
from trimtab.stats.intervals import mean_interval_t


class OverSeeds(Content):
    """A number of several seeds.

    Attributes:
        mean: Over seeds; None without any.
        low: Lower end of the 95 % t-interval over seeds; None where there is none.
        high: Upper end.
        seeds: Those with a value.
        error: Standard error as it is often published: with ddof 0, so too small, above all of few
            seeds; None of one seed.
    """

    mean: float | None
    low: float | None
    high: float | None
    seeds: int
    error: float | None = None

    def within(self, least: float, most: float) -> OverSeeds:
        """Return it with the ends of its interval no further than the number itself can go.

        Widths are not to be taken from what this returns.
        """
        if self.low is None or self.high is None:
            return self
        return self.model_copy(update={"low": max(self.low, least), "high": min(self.high, most)})


def over_seeds(values: Sequence[float | None]) -> OverSeeds:
    """Return the mean of what is known, with its t-interval."""
    known = [value for value in values if value is not None]
    if not known:
        return OverSeeds(mean=None, low=None, high=None, seeds=0)
    interval = mean_interval_t(known)
    low, high = (interval.low, interval.high) if interval.is_defined else (None, None)
    error = statistics.pstdev(known) / math.sqrt(len(known)) if len(known) > 1 else None
    return OverSeeds(mean=mean_known(known), low=low, high=high, seeds=len(known), error=error)
