"""How far an answer may be from a reference answer that is rounded, and how that is said."""

from __future__ import annotations

from fractions import Fraction
from typing import Literal

from pydantic import Field

from trimtab.core.config import validate
from trimtab.core.spec import Spec

_MAX_PLACES = 2


class Tolerance(Spec):
    """A rule of comparison; it is part of the name of the protocol.

    Attributes:
        rule: ``relative``: off by at most ``value`` times the reference; ``absolute``: by at most
            ``value``; ``exact``: equal, to the last digit of the reference.
        value: Size of the tolerance, see ``rule``; exact has none.
    """

    rule: Literal["relative", "absolute", "exact"]
    value: float = Field(default=0.0, ge=0, lt=1, allow_inf_nan=False)

    @property
    def name(self) -> str:
        """What it adds to the name of a protocol, e.g. ``relative-0.001``."""
        return self.rule if self.rule == "exact" else f"{self.rule}-{self.value:g}"

    @classmethod
    def parse(cls, name: str) -> Tolerance:
        """Return the tolerance that has ``name``; raise ConfigError if there is none."""
        rule, _, value = name.partition("-")
        given = {"rule": rule, "value": value} if value else {"rule": rule}
        return validate(cls, given, f"tolerance {name!r}")

    def holds(self, answer: Fraction | None, gold: Fraction | None) -> bool:
        """Return whether ``answer`` is as near to ``gold`` as the rule asks; None is not."""
        if answer is None or gold is None:
            return False
        # as written in the configuration, not as the nearest binary fraction
        allowed = Fraction(str(self.value)) if self.rule != "exact" else Fraction(0)
        return abs(answer - gold) <= (allowed * abs(gold) if self.rule == "relative" else allowed)


def needs_tolerance(gold: str) -> bool:
    """Return whether a reference answer, in canonical form, has more than two decimals.

    Such answers are rounded, hold the noise of floating point, or are like 1/3: equality would
    then measure the rounding.
    """
    return "/" in gold or len(gold.partition(".")[2]) > _MAX_PLACES
