"""How numbers are written: short, with their interval, and a dash where there is none."""

from __future__ import annotations

from typing import Literal

from trimtab.reports.data.numbers import Comparison, MetricInfo

MINUS = "\N{MINUS SIGN}"
DASH = "\N{EN DASH}"
RHO = "\N{GREEK SMALL LETTER RHO}"
DAGGER = "\N{DAGGER}"
"""Behind an interval over too few clusters."""

Form = Literal["rate", "number"]
"""A rate lies between 0 and 1 and is written in percent; a number is written as it is."""
Bounds = tuple[float | None, float | None]


def form_of(metric: MetricInfo) -> Form:
    """Return how the values of a metric are written."""
    return "rate" if metric.is_rate else "number"


def no_interval(comparison: Comparison) -> str:
    """Return why a comparison has no interval."""
    if comparison.num_clusters < 2:
        return "no interval: " + (
            "one question" if comparison.n < 2 else "one cluster of questions"
        )
    return "too little variation for an interval"


def scale(form: Form) -> float:
    """Return the factor that values are shown with: rates as percent, numbers as they are."""
    return 100.0 if form == "rate" else 1.0


def number(
    value: float | None, *, sign: bool = False, percent: bool = True, change: bool | None = None
) -> str:
    """Return ``value`` (already scaled) with one decimal, or 3 significant digits if no percent.

    A change (what has a sign, if ``change`` is None) of less than one point has two or three
    decimals: one would write many of them as 0. From a hundred thousand on a number is written with
    a power of ten: ``5.1e11``.
    """
    if value is None:
        return DASH
    if abs(value) >= 99_950:
        return _short(f"{value:+.1e}" if sign else f"{value:.1e}")
    digits = decimals(value, percent=percent, change=sign if change is None else change)
    text = f"{value:+.{digits}f}" if sign else f"{value:.{digits}f}"
    if float(text) == 0:
        text = text.lstrip("+-")
    return text.replace("-", MINUS)


def decimals(value: float, *, percent: bool, change: bool) -> int:
    """Return how many digits of ``value`` (already scaled) stand behind the point."""
    # what is left of a sum that should be 0 is 0
    small = change and 1e-9 < abs(value) < 0.995
    if (percent and not small) or abs(value) >= 99.95:
        return 1
    return 2 if abs(value) >= 0.0995 else 3


def strength(value: float) -> str:
    """Return a strength with its sign, to four digits: ``+0.5``, ``-0.368``."""
    return f"{value:+.4g}".replace("-", MINUS)


def tick(value: float) -> str:
    """Return what stands beside a tick of a logarithmic axis: ``0.1``, ``100``, ``1e12``."""
    return _short(f"{value:g}")


def _short(text: str) -> str:
    return text.replace("e+0", "e").replace("e+", "e").replace("-", MINUS)


def bounds(
    interval: Bounds, form: Form, *, percent: bool | None = None, change: bool = False
) -> str:
    """Return ``[55.1, 69.3]``; an end that is no number is a dash.

    ``percent`` says whether one decimal is written; that of a rate, if it is None. ``change`` is
    that of ``number``.
    """
    factor, decimal = scale(form), form == "rate" if percent is None else percent
    ends = (None if end is None else end * factor for end in interval)
    return f"[{', '.join(number(end, percent=decimal, change=change) for end in ends)}]"


def with_interval(
    value: float | None, interval: Bounds | None, form: Form, *, sign: bool = False
) -> str:
    """Return ``62.5 [55.1, 69.3]``, or a dash where there is no value."""
    if value is None:
        return DASH
    text = number(value * scale(form), sign=sign, percent=form == "rate")
    return text if interval is None else f"{text} {bounds(interval, form, change=sign)}"


def p_value(p: float | None) -> str:
    """Return ``0.031`` or ``<0.001``."""
    if p is None:
        return DASH
    return "<0.001" if p < 0.001 else f"{p:.3f}" if p < 0.1 else f"{p:.2f}"


def p_equals(p: float | None, name: str = "p") -> str:
    """Return ``p = 0.031`` or ``p < 0.001``."""
    return f"{name} = {p_value(p)}".replace("= <", "< ")


def label(metric: MetricInfo) -> str:
    """Return a metric's name in tables: its id, and the unit of what is not a rate."""
    name = title(metric)
    if metric.is_rate:
        return f"{name} %"
    return f"{name} ({metric.unit})" if metric.unit not in ("", name) else name


def title(metric: MetricInfo) -> str:
    """Return a metric's name in a sentence."""
    return metric.id.replace("truth_info", "truth·info")
