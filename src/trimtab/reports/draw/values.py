"""What stands in the cells of a table: numbers with their intervals, counts, words."""

from __future__ import annotations

from dataclasses import dataclass, replace

from trimtab.core.counted import counted
from trimtab.reports.data.numbers import Comparison, Estimate, MetricInfo
from trimtab.reports.data.statistics import drawn_clusters, is_few, significant
from trimtab.reports.draw.format import (
    DAGGER,
    DASH,
    Bounds,
    Form,
    bounds,
    decimals,
    form_of,
    number,
    p_value,
    scale,
)

# How a value is scaled; what is not here is a p-value or a format specification.
_FORMS: dict[str, Form] = {"rate": "rate", "number": "number", "points": "number"}


@dataclass(frozen=True)
class Value:
    """A number in its own unit.

    Attributes:
        mean: The number; None, a dash, where it is missing.
        low: Lower end of its interval, if that is shown.
        high: Upper end.
        form: ``rate`` (percent), ``number`` (3 digits), ``points`` (in percent already), ``p``, or
            a format specification (``.3g``).
        signed: Whether it is a change with a sign: a plus is written.
        change: Whether it is the size of one: less than a point has more decimals, as with a sign.
        significant: Whether it gets a star.
        suffix: What stands behind the number, such as a percent sign.
        few: Whether its interval rests on so few clusters that it is too narrow; it gets a dagger.
    """

    mean: float | None
    low: float | None = None
    high: float | None = None
    form: str = "number"
    signed: bool = False
    change: bool = False
    significant: bool = False
    suffix: str = ""
    few: bool = False

    @property
    def interval(self) -> Bounds | None:
        """The interval, if it has one."""
        return None if self.low is None and self.high is None else (self.low, self.high)

    @property
    def is_zero(self) -> bool:
        """Whether nothing but zeros is written."""
        if self.mean is None or self.interval is not None or self.form not in _FORMS:
            return False
        scaled = self.mean * scale(_FORMS[self.form])
        digits = decimals(scaled, percent=self.form != "number", change=self.signed or self.change)
        return round(scaled, digits) == 0


@dataclass(frozen=True)
class Count:
    """So many of a whole: ``3/150``, or ``0``."""

    part: int
    whole: int

    @property
    def is_zero(self) -> bool:
        """Whether there is none."""
        return self.part == 0


Cell = str | int | float | Value | Count | None
"""A cell; None is left empty because a number there would mean nothing."""


@dataclass(frozen=True)
class Written:
    """A cell in words: the number, its interval in brackets, and whether it has a star."""

    number: str
    interval: str = ""
    star: bool = False

    @property
    def text(self) -> str:
        """All of it in one line."""
        return f"{self.number} {self.interval}".rstrip() + "*" * self.star


def write_cell(cell: Cell) -> Written:
    """Return a cell as it is read."""
    if cell is None:
        return Written("")
    if isinstance(cell, Count):
        return Written("0" if cell.is_zero else f"{cell.part}/{cell.whole}")
    if isinstance(cell, str | int):
        return Written(str(cell))
    if isinstance(cell, float):
        return write_cell(Value(cell))
    if cell.mean is None:
        return Written(DASH)
    if cell.form == "p":
        return Written(p_value(cell.mean))
    if cell.form not in _FORMS:
        return Written(format(cell.mean, cell.form) + cell.suffix, star=cell.significant)
    form, percent = _FORMS[cell.form], cell.form != "number"
    change = cell.signed or cell.change
    text = number(cell.mean * scale(form), sign=cell.signed, percent=percent, change=change)
    text += cell.suffix
    interval = ""
    if cell.interval is not None:
        interval = bounds(cell.interval, form, percent=percent, change=change)
        interval += DAGGER * cell.few
    return Written(text, interval, cell.significant)


def is_zero(cell: Cell) -> bool:
    """Whether a cell says that there is none of what its column counts."""
    return cell.is_zero if isinstance(cell, Value | Count) else cell == 0


def estimated(numbers: Estimate, metric: MetricInfo, *, interval: bool = True) -> Value:
    """Return the cell of a mean."""
    shown = numbers.interval if interval else None
    return measured(numbers.mean, shown, form_of(metric), clusters=drawn_clusters(numbers))


def changed(comparison: Comparison | None, form: Form) -> Value | None:
    """Return the cell of a paired difference; None where nothing can be compared."""
    if comparison is None:
        return None
    value = measured(
        *(comparison.difference, comparison.interval, form),
        signed=True,
        clusters=comparison.num_clusters,
    )
    return replace(value, significant=significant(comparison))


def measured(
    mean: float | None,
    interval: Bounds | None,
    form: Form,
    *,
    signed: bool = False,
    clusters: int = 0,
) -> Value:
    """Return the cell of a number with its interval, marked if over few clusters (0: not known)."""
    low, high = interval or (None, None)
    return Value(mean, low, high, form, signed, few=is_few(clusters))


def star_note(tests: int) -> str:
    """Return what a star means where so many tests are corrected together; "" without any."""
    return f"* p < 0.05 after Holm's correction over {counted(tests, 'test')}" if tests else ""


def probability(p: float | None) -> Value:
    """Return the cell of a p-value."""
    return Value(p, form="p")
