"""``summary.json``: every number of a report, as a pure function of the run's records."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import Any

from trimtab.core.spec import Cell
from trimtab.core.types import Completion
from trimtab.reports.data.banks import pools_of_vectors, widen
from trimtab.reports.data.rows import (
    NLL,
    Block,
    ConditionRows,
    MetricRef,
    mean_by_unit,
    read_blocks,
)
from trimtab.reports.data.source import RunSource
from trimtab.reports.data.statistics import CONFIDENCE, compare, correct, estimate, seed_for
from trimtab.reports.sections.adaptive import adaptive
from trimtab.reports.sections.behaviours.table import behaviours_finding, summarise_behaviours
from trimtab.reports.sections.categories import categories
from trimtab.reports.sections.effects.verdicts import (
    best_treatment,
    finding,
    headline_metric,
    verdicts,
)
from trimtab.reports.sections.judging.agreement import add_corrections, agreements
from trimtab.reports.sections.learned import summarise_learned
from trimtab.reports.sections.rerankers import summarise_rerankers
from trimtab.reports.sections.selection.candidates import read_candidates
from trimtab.reports.sections.selection.selectors import summarise_sets

VERSION = 1
REFERENCES = ("baseline", "prompt", "random")


def summarise(run: RunSource) -> dict[str, Any]:
    """Return the summary of ``run``.

    The result holds no time, path or attempt, and floats are rounded to 10 significant digits:
    equal records give equal bytes. A condition without a value has None, never 0.

    Returns:
        ``conditions``: label, role, group and coordinates of each condition, in plan order.
        ``measures``: per measure its metrics and, per condition, counts, estimates and paired
        comparisons with the baseline, the prompt and the random vectors.
        ``families``: how many tests each Holm correction counts.
        ``selection``: what choosing among several candidates gains, see ``selection``.
        ``learned``: what learned steering gained on the select split, see ``_learned``.
        ``rerankers``: what the run's energy models were fitted on, with training curves.
        ``agreement`` and ``judge_checks``: what the judges are worth; rates of checked judges
        have ``corrected`` beside them.
        ``behaviours``: effects and side effects of steering along behaviours.
        ``categories``: the headline metric by category.
        ``verdicts`` and ``finding``: the same in plain words.
    """
    blocks = read_blocks(run)
    conditions = _conditions(run)
    measures = {block.name: _measure(block, conditions, run) for block in blocks}
    families = {reference: _correct(measures, conditions, reference) for reference in REFERENCES}
    summary: dict[str, Any] = {
        "version": VERSION,
        "recipe": run.plan.recipe,
        "name": run.plan.name,
        "seed": run.plan.seed,
        "confidence": CONFIDENCE,
        "baseline": run.plan.baseline,
        "models": sorted({cell.model.id for cell in run.plan.cells}),
        "conditions": conditions,
        "measures": measures,
        "families": families,
        "agreement": agreements(run, blocks),
        "judge_checks": add_corrections(measures, run.judge_checks),
    }
    summary["behaviours"] = summarise_behaviours(summary)
    summary["categories"] = _categories(summary, blocks, conditions)
    summary["verdicts"] = verdicts(summary)
    summary["selection"] = summarise_sets(read_candidates(run, blocks), run.plan.seed)
    summary["learned"] = summarise_learned(run)
    summary["rerankers"] = summarise_rerankers(run)
    said = behaviours_finding if summary["behaviours"] else finding
    summary["finding"] = said(summary)
    rounded: dict[str, Any] = _rounded(summary)
    return rounded


def _categories(
    summary: dict[str, Any], blocks: list[Block], conditions: list[dict[str, Any]]
) -> dict[str, Any] | None:
    """Return the headline metric by category for the prompt and the best treatment."""
    chosen, best = headline_metric(summary), best_treatment(summary)
    if chosen is None:
        return None
    name, metric = chosen
    block = next(block for block in blocks if block.name == name)
    measured = _with_pools(block, conditions)
    prompts = [c["condition"] for c in conditions if c["group"] == "prompt"]
    shown = {c: measured[c] for c in (*prompts, best) if c is not None and c in measured}
    base = measured.get(summary["baseline"])
    rows = categories(block, metric["id"], base, shown, summary["seed"])
    return {"measure": name, "metric": metric["id"], "conditions": list(shown), "rows": rows}


def to_json(summary: dict[str, Any]) -> str:
    """Return the text of ``summary.json``."""
    return json.dumps(summary, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


def _conditions(run: RunSource) -> list[dict[str, Any]]:
    first: dict[str, Cell] = {}
    for cell in run.plan.cells:
        first.setdefault(cell.condition, cell)
    found: list[dict[str, Any]] = [
        {
            "condition": label,
            "role": cell.role,
            "group": _group(cell),
            "intervention": cell.intervention.name,
            "coordinates": dict(cell.coordinates),
        }
        for label, cell in first.items()
    ]
    return found + _pools(found) + pools_of_vectors(run, found, first)


def _pools(conditions: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return a pooled condition for random vectors that differ in nothing but the draw."""
    draws: dict[tuple[Any, Any], list[dict[str, Any]]] = {}
    for condition in conditions:
        if condition["group"] == "random":
            place = condition["coordinates"]
            draws.setdefault((place.get("dose"), place.get("layer")), []).append(condition)
    several = len(draws) > 1
    return [
        {
            **members[0],
            "group": "pooled",
            "condition": f"random{_place(dose, layer) if several else ''}, pooled",
            "coordinates": {
                key: value for key, value in members[0]["coordinates"].items() if key != "draw"
            },
            "members": [member["condition"] for member in members],
        }
        for (dose, layer), members in draws.items()
        if len(members) > 1
    ]


def _place(dose: Any, layer: Any) -> str:
    at = f" {dose:+g}" if isinstance(dose, int | float) else ""
    return at + (f" layer {layer:g}" if isinstance(layer, int | float) else "")


def _group(cell: Cell) -> str:
    """Return what a condition is in tables and figures: a role, a control by its kind, a vector.

    A ``vector`` is one of several of a bank; what is tested is their pool, a treatment.
    """
    if "vector" in cell.coordinates:
        return "vector"
    if cell.role != "control":
        return cell.role
    if cell.intervention.name == "prompt":
        return "prompt"
    words = (cell.coordinates.get("series"), cell.intervention.name, cell.condition)
    return "random" if any("random" in str(word) for word in words) else "control"


def _with_pools(block: Block, conditions: list[dict[str, Any]]) -> dict[str, ConditionRows]:
    rows = dict(block.conditions)
    for condition in conditions:
        if "members" in condition:
            parts = [rows[label] for label in condition["members"] if label in rows]
            if parts:
                rows[condition["condition"]] = _pool(block, parts)
    return rows


def _measure(block: Block, conditions: list[dict[str, Any]], run: RunSource) -> dict[str, Any]:
    rows = _with_pools(block, conditions)
    groups = {c["condition"]: c for c in conditions if c["condition"] in rows}
    cell = next(iter(block.conditions.values())).cells[0]
    result: dict[str, Any] = {
        "measure": block.measure,
        "task": cell.task.name,
        "split": cell.split,
        "output": cell.output,
        "protocols": sorted({name for r in rows.values() for name in _protocols(r)}),
        "samples": len(block.samples),
        "units": len(block.clusters),
        "clusters": len(set(block.clusters.values())),
        "metrics": [_metric(ref) for ref in block.metrics],
        "conditions": {},
    }
    for label in groups:
        references = {
            name: rows[other]
            for name in REFERENCES
            if (other := _reference(name, groups[label], groups, run.plan.baseline)) in rows
            and other != label
            and _one_protocol(rows[other], rows[label])
        }
        metrics = {
            ref.id: _numbers(block, rows[label], references, ref, run.plan.seed, groups[label])
            for ref in block.metrics
        }
        entry: dict[str, Any] = {"counts": _counts(rows[label]), "metrics": metrics}
        if decided := adaptive(rows[label].completions.values()):
            entry["adaptive"] = decided
        result["conditions"][label] = entry
    return result


def _protocols(rows: ConditionRows) -> set[str]:
    """Return the procedures that rows were made by."""
    return {completion.protocol for completion in rows.completions.values()}


def _one_protocol(left: ConditionRows, right: ConditionRows) -> bool:
    """Whether numbers may be compared; where nothing was made there is nothing to mix."""
    one, other = _protocols(left), _protocols(right)
    return not one or not other or one == other


def _pool(block: Block, parts: list[ConditionRows]) -> ConditionRows:
    pooled = ConditionRows([cell for part in parts for cell in part.cells], parts=parts)
    for part in parts:
        pooled.planned += part.planned
        pooled.completions |= part.completions
    for ref in block.metrics:
        by_unit: dict[str, list[float]] = {}
        pooled.values[ref.id] = {}
        for part in parts:
            pooled.values[ref.id] |= part.values.get(ref.id, {})
            for unit, value in part.units[ref.id].items():
                by_unit.setdefault(unit, []).append(value)
        pooled.units[ref.id] = mean_by_unit(by_unit)
    return pooled


def _metric(ref: MetricRef) -> dict[str, Any]:
    about = {"id": ref.id, "judge": ref.judge, "derived": ref.judge is None}
    return {**ref.metric.model_dump(), **about, "parts": list(ref.parts or ())}


def _reference(
    name: str, condition: dict[str, Any], groups: dict[str, dict[str, Any]], baseline: str
) -> str | None:
    """Return the condition that ``condition`` is compared with; random ones at the same |dose|."""
    if name == "baseline":
        return baseline
    if name == "prompt":
        return next((label for label, c in groups.items() if c["group"] == "prompt"), None)
    if condition["group"] != "treatment":
        return None
    dose = condition["coordinates"].get("dose")
    near = [
        (c["group"] != "pooled", label)
        for label, c in groups.items()
        if c["group"] in ("pooled", "random")
        and _same_size(dose, c["coordinates"].get("dose"))
        and c["coordinates"].get("layer") == condition["coordinates"].get("layer")
    ]
    return min(near)[1] if near else None


def _same_size(left: Any, right: Any) -> bool:
    numbers = isinstance(left, float | int) and isinstance(right, float | int)
    return numbers and math.isclose(abs(left), abs(right), rel_tol=1e-9)


def _counts(rows: ConditionRows) -> dict[str, Any]:
    present: Iterable[Completion] = rows.completions.values()
    errors = sum(c.error is not None or c.finish_reason == "error" for c in present)
    unknown = any(c.finish_reason == "unknown" for c in present)
    truncated = None if unknown else sum(c.finish_reason == "length" for c in present)
    total = len(rows.completions)
    return {
        "planned": rows.planned,
        "present": total,
        "missing": rows.planned - total,
        "errors": errors,
        "truncated": truncated,
        "error_rate": errors / total if total else None,
        "truncated_rate": None if truncated is None or not total else truncated / total,
    }


def _numbers(
    block: Block,
    rows: ConditionRows,
    references: dict[str, ConditionRows],
    ref: MetricRef,
    seed: int,
    condition: dict[str, Any],
) -> dict[str, Any]:
    label: str = condition["condition"]
    units, scored = rows.units[ref.id], len(rows.values.get(ref.id, {}))
    own = seed_for(seed, block.name, ref.id)
    entry: dict[str, Any] = {
        "n_planned": rows.planned,
        "n": scored,
        "n_unscored": rows.planned - scored,
        "unscored_rate": (rows.planned - scored) / rows.planned if rows.planned else None,
        "units": len(units),
        **estimate(units, block.clusters, ref.metric, own),
    }
    # the spread of a bank's vectors belongs into the interval; random draws are a control
    parts = [part.units[ref.id] for part in rows.parts] if "share" in condition else []
    if parts:
        entry = widen(entry, parts, condition["share"])
    for name, other in references.items():
        against = seed_for(seed, block.name, ref.id, label, name)
        found = compare(units, other.units[ref.id], block.clusters, against)
        if found and parts:
            found = widen(found, parts, condition["share"], other.units[ref.id])
        entry[f"vs_{name}"] = found
    if ref.metric.name == NLL and (found := entry.get("vs_baseline")) is not None:
        # exp of the mean difference over shared texts: each text is its own control.
        bounds = found["interval"]
        entry["perplexity_ratio"] = {
            "mean": _exp(found["difference"]),
            "interval": bounds and [_exp(bound) for bound in bounds],
        }
    return entry


def _exp(value: float) -> float | None:
    """Return exp(value); None where it is too large to be a number."""
    return math.exp(value) if value < 700 else None


def _correct(
    measures: dict[str, Any], conditions: list[dict[str, Any]], reference: str
) -> dict[str, Any]:
    """Correct all treatments x effect metrics against one reference; return the family's size."""
    treatments = [c["condition"] for c in conditions if c["group"] == "treatment"]
    family = [
        found
        for measure in measures.values()
        for metric in measure["metrics"]
        if metric["role"] == "effect"
        for label in treatments
        if label in measure["conditions"]
        and (found := measure["conditions"][label]["metrics"][metric["id"]].get(f"vs_{reference}"))
    ]
    correct(family)
    return {"tests": len(family), "method": "holm"}


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.10g}") if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(item) for item in value]
    return value
