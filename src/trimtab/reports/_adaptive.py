"""What interventions decided while they ran: strengths chosen token by token."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from trimtab.core.types import Completion
from trimtab.reports.tables import Table


def adaptive(completions: Iterable[Completion]) -> dict[str, Any]:
    """Return what was decided in some completions; empty if nothing was.

    Returns:
        ``strengths``: for each property its ``mean`` over ``tokens``, the ``largest``, and the
        share of tokens at ``zero``.
    """
    by_property: dict[int, list[float]] = {}
    for completion in completions:
        for number, strengths in enumerate(completion.strengths or ()):
            by_property.setdefault(number, []).extend(strengths)
    if not by_property:
        return {}
    return {"strengths": [_spread(values) for _, values in sorted(by_property.items())]}


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
