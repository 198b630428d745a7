"""What each measure measured: estimates, paired comparisons and their correction."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from trimtab.reports.data.banks import widen_comparison, widen_estimate
from trimtab.reports.data.conditions import POOLED, PROMPT, RANDOM, TREATMENT, same_size
from trimtab.reports.data.conditions import strength as strength_of
from trimtab.reports.data.metrics import NLL, MetricRef
from trimtab.reports.data.numbers import (
    REFERENCES,
    Comparison,
    Condition,
    ConditionNumbers,
    Counts,
    Family,
    Measure,
    MetricInfo,
    MetricNumbers,
    Numbers,
    PerplexityRatio,
    Reference,
)
from trimtab.reports.data.rows import Block, ConditionRows, with_pools
from trimtab.reports.data.statistics import compare, corrected, estimate, seed_for


def measured(
    blocks: Sequence[Block], conditions: tuple[Condition, ...], baseline: str, seed: int
) -> Numbers:
    """Return everything that was measured, with Holm's correction per reference.

    Args:
        blocks: The records.
        conditions: The run's conditions, pools among them.
        baseline: Label of the condition that all others are compared with.
        seed: Seed of the statistics.
    """
    measures = {block.name: _measure(block, conditions, baseline, seed) for block in blocks}
    families: dict[Reference, Family] = {}
    for reference in REFERENCES:
        measures, families[reference] = _correct(measures, conditions, reference)
    return Numbers(conditions=conditions, measures=measures, families=families)


def pool_members(conditions: Sequence[Condition]) -> dict[str, tuple[str, ...]]:
    """Return the labels of each pool's members, by the label of the pool."""
    return {c.condition: c.members for c in conditions if c.members}


def _measure(block: Block, conditions: Sequence[Condition], baseline: str, seed: int) -> Measure:
    rows = with_pools(block, pool_members(conditions))
    present = {c.condition: c for c in conditions if c.condition in rows}
    cell = next(iter(block.conditions.values())).cells[0]
    entries = {}
    for label, condition in present.items():
        references = {
            name: rows[other]
            for name in REFERENCES
            if (other := _reference(name, condition, present, baseline)) in rows
            and other != label
            and _one_protocol(rows[other], rows[label])
        }
        entries[label] = ConditionNumbers(
            counts=_counts(rows[label]),
            metrics={
                ref.id: _numbers(block, rows[label], references, ref, seed, condition)
                for ref in block.metrics
            },
        )
    return Measure(
        measure=block.measure,
        task=cell.task.name,
        split=cell.split,
        output=cell.output,
        protocols=tuple(sorted({name for r in rows.values() for name in _protocols(r)})),
        samples=len(block.samples),
        units=len(block.clusters),
        clusters=len(set(block.clusters.values())),
        metrics=tuple(
            MetricInfo.of(ref.metric, ref.id, ref.judge, ref.parts or ()) for ref in block.metrics
        ),
        conditions=entries,
    )


def _protocols(rows: ConditionRows) -> set[str]:
    """Return the procedures that rows were made by."""
    return {completion.protocol for completion in rows.completions.values()}


def _one_protocol(left: ConditionRows, right: ConditionRows) -> bool:
    """Whether numbers may be compared; where nothing was generated there is nothing to mix."""
    first, second = _protocols(left), _protocols(right)
    return not first or not second or first == second


def _reference(
    name: Reference, condition: Condition, present: Mapping[str, Condition], baseline: str
) -> str | None:
    """Return what ``condition`` is compared with; random vectors at the same size of strength."""
    if name == "baseline":
        return baseline
    if name == "prompt":
        return next((label for label, c in present.items() if c.group == PROMPT), None)
    if condition.group != TREATMENT:
        return None
    near = [
        (c.group != POOLED, label)
        for label, c in present.items()
        if c.group in (POOLED, RANDOM)
        and same_size(strength_of(condition), strength_of(c))
        and c.coordinates.get("layer") == condition.coordinates.get("layer")
    ]
    return min(near)[1] if near else None


def _counts(rows: ConditionRows) -> Counts:
    present = list(rows.completions.values())
    errors = sum(c.error is not None or c.finish_reason == "error" for c in present)
    unknown = any(c.finish_reason == "unknown" for c in present)
    truncated = None if unknown else sum(c.finish_reason == "length" for c in present)
    total = len(present)
    return Counts(
        planned=rows.planned,
        present=total,
        missing=rows.planned - total,
        errors=errors,
        truncated=truncated,
        error_rate=errors / total if total else None,
        truncated_rate=None if truncated is None or not total else truncated / total,
    )


def _numbers(
    block: Block,
    rows: ConditionRows,
    references: Mapping[Reference, ConditionRows],
    ref: MetricRef,
    seed: int,
    condition: Condition,
) -> MetricNumbers:
    units, scored = rows.units[ref.id], len(rows.values.get(ref.id, {}))
    mean = estimate(units, block.clusters, ref.metric, seed_for(seed, block.name, ref.id))
    # the spread of a bank's vectors belongs into the interval; random draws are a control
    share = condition.share
    parts = [part.units[ref.id] for part in rows.parts] if share is not None else []
    if share is not None and parts:
        mean = widen_estimate(mean, parts, share)
    comparisons: dict[Reference, Comparison | None] = {}
    for name, other in references.items():
        drawn = seed_for(seed, block.name, ref.id, condition.condition, name)
        comparison = compare(units, other.units[ref.id], block.clusters, drawn)
        if comparison is not None and share is not None and parts:
            comparison = widen_comparison(comparison, parts, share, other.units[ref.id])
        comparisons[name] = comparison
    numbers = MetricNumbers(
        n_planned=rows.planned,
        n=scored,
        n_unscored=rows.planned - scored,
        unscored_rate=(rows.planned - scored) / rows.planned if rows.planned else None,
        units=len(units),
        mean=mean.mean,
        interval=mean.interval,
        method=mean.method,
    )
    known = {name: getattr(mean, name) for name in mean.model_fields_set}
    against = {f"vs_{name}": comparison for name, comparison in comparisons.items()}
    base = comparisons.get("baseline")
    ratio = {} if ref.metric.name != NLL or base is None else {"perplexity_ratio": _ratio(base)}
    return numbers.model_copy(update={**known, **against, **ratio})


def _ratio(difference: Comparison) -> PerplexityRatio:
    """Return exp of the mean difference over shared texts: each text is its own control."""
    bounds = difference.interval
    return PerplexityRatio(
        mean=_exp(difference.difference),
        interval=None if bounds is None else (_exp(bounds[0]), _exp(bounds[1])),
    )


def _exp(value: float) -> float | None:
    """Return exp(value); None where it is too large to be a number."""
    return math.exp(value) if value < 700 else None


def _correct(
    measures: Mapping[str, Measure], conditions: Sequence[Condition], reference: Reference
) -> tuple[dict[str, Measure], Family]:
    """Return the measures with all treatments x effect metrics corrected against one reference."""
    places = [
        (name, label, metric.id, comparison)
        for name, measure in measures.items()
        for metric in measure.metrics
        if metric.role == "effect"
        for label in (c.condition for c in conditions if c.group == TREATMENT)
        if label in measure.conditions
        and (comparison := measure.conditions[label].metrics[metric.id].against(reference))
    ]
    changed = corrected([comparison for *_, comparison in places])
    updates = {
        (name, label, metric): comparison
        for (name, label, metric, _), comparison in zip(places, changed, strict=True)
    }
    result = {}
    for name, measure in measures.items():
        entries = {}
        for label, entry in measure.conditions.items():
            metrics = {
                key: numbers.model_copy(update={f"vs_{reference}": updates[name, label, key]})
                if (name, label, key) in updates
                else numbers
                for key, numbers in entry.metrics.items()
            }
            entries[label] = entry.model_copy(update={"metrics": metrics})
        result[name] = measure.model_copy(update={"conditions": entries})
    return result, Family(tests=len(places), method="holm")
