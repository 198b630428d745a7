"""What each measure measured: estimates, paired comparisons and their correction."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from trimtab.reports.data.banks import widen_comparison, widen_estimate
from trimtab.reports.data.blocks import Block, ConditionRows, with_pools
from trimtab.reports.data.conditions import PROMPT, TREATMENT
from trimtab.reports.data.metrics import NLL, MetricRef
from trimtab.reports.data.numbers import (
    PAIRED,
    Comparison,
    Condition,
    ConditionNumbers,
    Counts,
    Estimate,
    Family,
    Measure,
    MetricInfo,
    MetricNumbers,
    Numbers,
    Paired,
    PerplexityRatio,
    Reference,
)
from trimtab.reports.data.randoms import among_randoms
from trimtab.reports.data.statistics import comparisons, corrected, estimates, seed_for


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
    for reference in PAIRED:
        measures, families[reference] = _correct(measures, conditions, reference)
    measures, families["random"] = among_randoms(measures, conditions)
    return Numbers(conditions=conditions, measures=measures, families=families)


def pool_members(conditions: Sequence[Condition]) -> dict[str, tuple[str, ...]]:
    """Return the labels of each pool's members, by the label of the pool."""
    return {c.condition: c.members for c in conditions if c.members}


def _measure(block: Block, conditions: Sequence[Condition], baseline: str, seed: int) -> Measure:
    rows = with_pools(block, pool_members(conditions))
    present = {c.condition: c for c in conditions if c.condition in rows}
    cell = next(iter(block.conditions.values())).cells[0]
    entries = _entries(block, rows, present, baseline, seed)
    return Measure(
        measure=block.measure,
        task=cell.task.name,
        split=cell.split,
        output=cell.output,
        protocols=tuple(sorted({name for r in rows.values() for name in r.protocols})),
        samples=len(block.samples),
        units=len(block.clusters),
        clusters=len(set(block.clusters.values())),
        metrics=tuple(
            MetricInfo.of(ref.metric, ref.id, ref.judge, ref.parts or ()) for ref in block.metrics
        ),
        conditions=entries,
    )


def _entries(
    block: Block,
    rows: Mapping[str, ConditionRows],
    present: Mapping[str, Condition],
    baseline: str,
    seed: int,
) -> dict[str, ConditionNumbers]:
    """Return the numbers of every condition; all of a measure's share their draws."""
    others = {name: _reference(name, present, baseline) for name in PAIRED}
    references = {
        label: {
            name: rows[other]
            for name, other in others.items()
            if other is not None
            and other in rows
            and other != label
            and _one_protocol(rows[other], rows[label])
        }
        for label in present
    }
    places = [(label, ref) for label in present for ref in block.metrics]
    means = estimates(
        [(rows[label].means[ref.id], ref.metric) for label, ref in places],
        block.cluster_codes,
        seed_for(seed, block.name),
    )
    against = [(label, ref, name) for label, ref in places for name in references[label]]
    changes = comparisons(
        [
            (rows[label].means[ref.id], references[label][name].means[ref.id])
            for label, ref, name in against
        ],
        block.cluster_codes,
        seed_for(seed, block.name),
    )
    found: dict[tuple[str, str], dict[Paired, Comparison | None]] = defaultdict(dict)
    for (label, ref, name), change in zip(against, changes, strict=True):
        found[label, ref.id][name] = change
    metrics: dict[str, dict[str, MetricNumbers]] = defaultdict(dict)
    columns = {ref.id: column for column, ref in enumerate(block.metrics)}
    for (label, ref), mean in zip(places, means, strict=True):
        scored = rows[label].num_scored(columns[ref.id])
        metrics[label][ref.id] = _numbers(
            rows[label], references[label], ref, present[label], mean, found[label, ref.id], scored
        )
    return {
        label: ConditionNumbers(counts=_counts(rows[label]), metrics=metrics[label])
        for label in present
    }


def _one_protocol(left: ConditionRows, right: ConditionRows) -> bool:
    """Whether numbers may be compared; where nothing was generated there is nothing to mix."""
    first, second = left.protocols, right.protocols
    return not first or not second or first == second


def _reference(name: Paired, present: Mapping[str, Condition], baseline: str) -> str | None:
    """Return the label of what conditions are compared with."""
    if name == "baseline":
        return baseline
    return next((label for label, c in present.items() if c.group == PROMPT), None)


def _counts(rows: ConditionRows) -> Counts:
    cells = rows.rows.values()
    total, errors = rows.num_rows, sum(cell.errors for cell in cells)
    unknown = any(cell.unknown for cell in cells)
    truncated = None if unknown else sum(cell.truncated for cell in cells)
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
    rows: ConditionRows,
    references: Mapping[Paired, ConditionRows],
    ref: MetricRef,
    condition: Condition,
    mean: Estimate,
    changes: Mapping[Paired, Comparison | None],
    scored: int,
) -> MetricNumbers:
    # the spread of a bank's vectors belongs into the interval; random draws are a control
    share = condition.share
    parts = [part.means[ref.id] for part in rows.parts] if share is not None else []
    if share is not None and parts:
        mean = widen_estimate(mean, parts, share)
        changes = {
            name: change and widen_comparison(change, parts, share, references[name].means[ref.id])
            for name, change in changes.items()
        }
    numbers = MetricNumbers(
        n_planned=rows.planned,
        num_clusters=mean.num_clusters,
        n=scored,
        n_unscored=rows.planned - scored,
        unscored_rate=(rows.planned - scored) / rows.planned if rows.planned else None,
        units=int(np.count_nonzero(~np.isnan(rows.means[ref.id]))),
        mean=mean.mean,
        interval=mean.interval,
        method=mean.method,
    )
    known = {name: getattr(mean, name) for name in mean.model_fields_set}
    against = {f"vs_{name}": change for name, change in changes.items()}
    base = changes.get("baseline")
    ratio = {} if ref.metric.name != NLL or base is None else {"perplexity_ratio": _ratio(base)}
    return numbers.model_copy(update={**known, **against, **ratio})


def _ratio(difference: Comparison) -> PerplexityRatio:
    """Return exp of the mean difference over shared texts: each text is its own control."""
    bounds = difference.interval
    return PerplexityRatio(
        mean=_exp(difference.difference),
        interval=None if bounds is None else (_exp(bounds[0]), _exp(bounds[1])),
        num_clusters=difference.num_clusters,
    )


def _exp(value: float) -> float | None:
    """Return exp(value); None where it is too large to be a number."""
    return math.exp(value) if value < 700 else None


def _correct(
    measures: Mapping[str, Measure], conditions: Sequence[Condition], reference: Paired
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
