"""The headline metric by category of question: where an effect comes from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trimtab.reports.data.rows import Block, ConditionRows
from trimtab.reports.data.statistics import compare, seed_for


def categories(
    block: Block,
    metric: str,
    baseline: ConditionRows | None,
    conditions: Mapping[str, ConditionRows],
    seed: int,
) -> list[dict[str, Any]]:
    """Return, per category, the baseline's mean and what each of ``conditions`` changed.

    Questions are the units, each a cluster of its own. A category is a small sample and there are
    many of them, so these figures suggest and prove nothing.
    """
    by_category: dict[str, set[str]] = {}
    for sample in block.samples.values():
        name = sample.metadata.get("category")
        if isinstance(name, str) and name:
            by_category.setdefault(name, set()).add(block.units[sample.id])
    base = {} if baseline is None else baseline.units[metric]
    own = {unit: unit for units in by_category.values() for unit in units}
    rows = []
    for name, units in sorted(by_category.items()):
        start = {unit: value for unit, value in base.items() if unit in units}
        changes: dict[str, Any] = {}
        for condition, measured in conditions.items():
            mine = {u: value for u, value in measured.units[metric].items() if u in units}
            drawn = seed_for(seed, block.name, metric, condition, "category", name)
            changes[condition] = compare(mine, start, own, drawn)
        mean = sum(start.values()) / len(start) if start else None
        rows.append({"category": name, "n": len(units), "baseline": mean, "changes": changes})
    return rows
