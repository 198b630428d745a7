"""How numbers are written: short, with their interval, and a dash where there is none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MINUS = "\N{MINUS SIGN}"
DASH = "\N{EN DASH}"


def scale(metric: Mapping[str, Any]) -> float:
    """Return the factor a metric is shown with: rates as percent, numbers as they are."""
    return 1.0 if metric["kind"] == "number" else 100.0


def number(value: float | None, *, sign: bool = False, percent: bool = True) -> str:
    """Return ``value`` (already scaled) with one decimal, or 3 significant digits if no percent.

    From a hundred thousand on it is written with a power of ten: ``5.1e11``.
    """
    if value is None:
        return DASH
    if abs(value) >= 99_950:
        return _short(f"{value:+.1e}" if sign else f"{value:.1e}")
    if percent:
        text = f"{value:+.1f}" if sign else f"{value:.1f}"
    else:
        digits = 2 if abs(value) >= 0.0995 else 3
        digits = 1 if abs(value) >= 99.95 else digits
        text = f"{value:+.{digits}f}" if sign else f"{value:.{digits}f}"
    if float(text) == 0:
        text = text.lstrip("+-")
    return text.replace("-", MINUS)


def tick(value: float) -> str:
    """Return what stands beside a tick of a logarithmic axis: ``0.1``, ``100``, ``1e12``."""
    return _short(f"{value:g}")


def _short(text: str) -> str:
    return text.replace("e+0", "e").replace("e+", "e").replace("-", MINUS)


def with_interval(
    value: float | None,
    interval: list[float | None] | None,
    metric: Mapping[str, Any],
    *,
    sign: bool = False,
) -> str:
    """Return ``62.5 [55.1, 69.3]``, or a dash where there is no value."""
    if value is None:
        return DASH
    factor, percent = scale(metric), metric["kind"] != "number"
    text = number(value * factor, sign=sign, percent=percent)
    if interval is None:
        return text
    bounds = ", ".join(
        DASH if bound is None else number(bound * factor, percent=percent) for bound in interval
    )
    return f"{text} [{bounds}]"


def p_value(p: float | None) -> str:
    """Return ``0.031`` or ``<0.001``."""
    if p is None:
        return DASH
    return "<0.001" if p < 0.001 else f"{p:.3f}" if p < 0.1 else f"{p:.2f}"


def label(metric: Mapping[str, Any]) -> str:
    """Return a metric's name in tables: its id, and the unit of what is not a rate."""
    name = str(metric["id"]).replace("truth_info", "truth·info")
    if metric["kind"] != "number":
        return f"{name} %"
    return f"{name} ({metric['unit']})" if metric["unit"] not in (None, "", name) else name
