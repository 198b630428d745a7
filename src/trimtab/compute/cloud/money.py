"""What a machine may cost, and when it must end so that it costs no more."""

from __future__ import annotations

import math
from dataclasses import dataclass

from trimtab.compute.cloud.providers.base import MachineType
from trimtab.core.errors import ConfigError

_MOST_MARGIN_H = 0.25
_SHARE_OF_MARGIN = 0.25
_LEAST_MINUTES = 10.0
_MOST_HOURS = 24.0 * 31
LEAST_MARGIN_S = 60 * _LEAST_MINUTES * _SHARE_OF_MARGIN
"""How long before the end of what is paid for any machine is ended at least, in seconds."""


@dataclass(frozen=True)
class Offer:
    """A machine, for so long.

    Attributes:
        type: Its kind, with the price that was shown.
        region: Where.
        hours: The most that is paid for.
        margin_hours: How long before that it is ended: ending it takes time, and tries.
    """

    type: MachineType
    region: str
    hours: float
    margin_hours: float

    @property
    def dollars(self) -> float:
        """The most that it costs, in whole cents."""
        return math.ceil(round(100 * self.hours * self.type.dollars_per_hour, 6)) / 100

    @property
    def seconds(self) -> float:
        """How long after its launch it must end."""
        return 3600 * (self.hours - self.margin_hours)


def require_caps(max_dollars: float, max_hours: float | None) -> None:
    """Raise ConfigError if a cap is none: not above 0, not finite, or not a number."""
    for option, cap in (("--max-usd", max_dollars), ("--max-hours", max_hours)):
        if cap is not None and not 0 < cap < math.inf:
            raise ConfigError(f"{option} {cap:g} is no cap: it must be above 0 and finite.")


def make_offer(
    types: list[MachineType],
    name: str,
    region: str | None,
    max_dollars: float,
    max_hours: float | None,
) -> Offer:
    """Return what a machine of a kind costs at most within the caps.

    Args:
        types: What can be rented now.
        name: The kind.
        region: Where; the first one that has it, if None.
        max_dollars: Most dollars.
        max_hours: Most hours.

    Raises:
        ConfigError: There is no such kind, it can't be had there now, the caps are too low, or they
            pay for more than a month.
    """
    found = next((each for each in types if each.name == name), None)
    if found is None:
        have = ", ".join(each.name for each in types if each.regions) or "none"
        raise ConfigError(f"There is no machine {name!r}.", hint=f"To be had now: {have}.")
    if not found.regions or (region is not None and region not in found.regions):
        where = ", ".join(found.regions) or "nowhere"
        raise ConfigError(
            f"{name} can't be had{'' if region is None else f' in {region}'} now.",
            hint=f"It can be had: {where}.",
        )
    if not found.dollars_per_hour > 0:
        raise ConfigError(f"{name} has no price, so no cap can be kept.")
    hours = min(max_dollars / found.dollars_per_hour, math.inf if max_hours is None else max_hours)
    if hours > _MOST_HOURS:
        raise ConfigError(
            f"${max_dollars:,.2f} pay {name} for {hours:,.0f} hours; a machine may be there for "
            f"{_MOST_HOURS:.0f}.",
            hint="Lower --max-usd, or give --max-hours.",
        )
    margin = min(_MOST_MARGIN_H, _SHARE_OF_MARGIN * hours)
    if 60 * hours < _LEAST_MINUTES:
        raise ConfigError(
            f"The caps allow {60 * hours:.1f} minutes of {name} at "
            f"${found.dollars_per_hour:.2f} an hour; a machine needs {_LEAST_MINUTES:.0f} or more.",
            hint="Raise --max-usd or --max-hours, or take a cheaper one (`trimtab cloud types`).",
        )
    region = found.regions[0] if region is None else region
    return Offer(found, region, hours, margin)
