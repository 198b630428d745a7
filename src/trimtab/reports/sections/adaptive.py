"""What interventions decided while they ran: strengths chosen token by token, gates."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from trimtab.core.types import Completion, GateReading
from trimtab.reports.draw.tables import Table


def adaptive(completions: Iterable[Completion]) -> dict[str, Any]:
    """Return what was decided in some completions; empty if nothing was.

    Returns:
        ``strengths``: for each property its ``mean`` over ``tokens``, the ``largest``, and the
        share of tokens at ``zero``. ``gates``: for each gate the ``mean`` value, the mean
        ``factor`` and the share of ``rows`` in which it was ``open`` (a factor above one half).
    """
    by_property: dict[int, list[float]] = {}
    by_gate: dict[int, list[GateReading]] = {}
    for completion in completions:
        for number, strengths in enumerate(completion.strengths or ()):
            by_property.setdefault(number, []).extend(strengths)
        for number, reading in enumerate(completion.gates or ()):
            by_gate.setdefault(number, []).append(reading)
    found: dict[str, Any] = {}
    if by_property:
        found["strengths"] = [_spread(values) for _, values in sorted(by_property.items())]
    if by_gate:
        found["gates"] = [_openness(readings) for _, readings in sorted(by_gate.items())]
    return found


def _openness(readings: Sequence[GateReading]) -> dict[str, float]:
    count = len(readings)
    return {
        "mean": math.fsum(reading.value for reading in readings) / count,
        "factor": math.fsum(reading.factor for reading in readings) / count,
        "open": sum(reading.factor > 0.5 for reading in readings) / count,
        "rows": count,
    }


def _spread(values: Sequence[float]) -> dict[str, float]:
    return {
        "mean": math.fsum(values) / len(values),
        "largest": max(values),
        "zero": sum(value == 0 for value in values) / len(values),
        "tokens": len(values),
    }


def strength_table(summary: dict[str, Any]) -> Table | None:
    """Return the strengths that dynamic interventions chose; None if there were none."""
    rows = [
        (
            label,
            name,
            str(number),
            f"{found['mean']:.3g}",
            f"{found['largest']:.3g}",
            f"{100 * found['zero']:.0f} %",
            str(found["tokens"]),
        )
        for name, block in summary["measures"].items()
        for label, entry in block["conditions"].items()
        for number, found in enumerate(entry.get("adaptive", {}).get("strengths", ()), start=1)
    ]
    columns = ("condition", "measure", "property", "mean", "largest", "tokens at 0", "tokens")
    title = "Strengths chosen while running"
    return Table("strengths", title, columns, tuple(rows)) if rows else None


def gate_table(summary: dict[str, Any]) -> Table | None:
    """Return how often conditional interventions acted; None if there were none."""
    rows = [
        (
            label,
            name,
            str(number),
            f"{100 * found['open']:.0f} %",
            f"{found['factor']:.3g}",
            f"{found['mean']:.3g}",
            str(found["rows"]),
        )
        for name, block in summary["measures"].items()
        for label, entry in block["conditions"].items()
        for number, found in enumerate(entry.get("adaptive", {}).get("gates", ()), start=1)
    ]
    columns = ("condition", "measure", "gate", "open", "mean factor", "mean value", "rows")
    return (
        Table("gates", "Gates of conditional interventions", columns, tuple(rows)) if rows else None
    )
