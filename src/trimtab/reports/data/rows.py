"""Join a run's records into blocks: the conditions of one measure, comparable row by row.

The unit of analysis is the question. A unit's value is the mean over whatever is scored of it:
several completions, several seeds, or both orders of a two-option question. Nothing that is
missing enters a mean; it only makes the count smaller.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from trimtab.core.plan import Cell
from trimtab.core.types import Completion, Sample
from trimtab.reports.data.metrics import MetricRef, derived_values, metrics_of
from trimtab.reports.data.source import RowKey, RunSource


@dataclass
class ConditionRows:
    """The rows of one condition in one block.

    Attributes:
        cells: Its cells (several if it was run with several seeds).
        planned: Completions that the plan asks for.
        completions: Those that exist, by key.
        values: Metric id -> row -> value; rows without a value are left out.
        units: Metric id -> unit -> mean of the unit's values.
        parts: The conditions it is pooled from, if it is; empty otherwise.
    """

    cells: list[Cell]
    planned: int = 0
    completions: dict[RowKey, Completion] = field(default_factory=dict)
    values: dict[str, dict[RowKey, float]] = field(default_factory=dict)
    units: dict[str, dict[str, float]] = field(default_factory=dict)
    parts: list[ConditionRows] = field(default_factory=list)


@dataclass
class Block:
    """The conditions of one measure on one model.

    Attributes:
        name: The measure, with the model where a run has several.
        measure: The measure alone.
        metrics: Every metric its judges give, in plan order, derived ones last.
        conditions: Condition label -> rows, in plan order.
        samples: Sample id -> sample.
        units: Sample id -> unit.
        clusters: Unit -> cluster; units of one cluster are not independent.
    """

    name: str
    measure: str
    metrics: list[MetricRef]
    conditions: dict[str, ConditionRows]
    samples: dict[str, Sample] = field(default_factory=dict)
    units: dict[str, str] = field(default_factory=dict)
    clusters: dict[str, str] = field(default_factory=dict)

    @property
    def singleton_clusters(self) -> bool:
        """Whether every unit is a cluster of its own."""
        return len(set(self.clusters.values())) == len(self.clusters)


def read_blocks(run: RunSource) -> list[Block]:
    """Read every record of ``run`` and return its blocks in plan order."""
    blocks: dict[str, Block] = {}
    several_models = len({cell.model_identity for cell in run.plan.cells}) > 1
    for cell in run.plan.cells:
        name = f"{cell.measure} ({cell.model.id})" if several_models else cell.measure
        if name not in blocks:
            blocks[name] = Block(name, cell.measure, metrics_of(cell, run.judges()), {})
        rows = blocks[name].conditions.setdefault(cell.condition, ConditionRows([]))
        rows.cells.append(cell)
        _read_cell(run, cell, blocks[name], rows)
    for block in blocks.values():
        for rows in block.conditions.values():
            for ref in block.metrics:
                if ref.judge is None:
                    rows.values[ref.id] = derived_values(
                        ref, rows.values, rows.completions, block.units
                    )
            _reduce(block, rows)
    return list(blocks.values())


def _read_cell(run: RunSource, cell: Cell, block: Block, rows: ConditionRows) -> None:
    samples = run.samples(cell.samples)
    rows.planned += len(samples) * cell.num_samples
    for sample in samples.values():
        unit = unit_of(sample)
        block.samples.setdefault(sample.id, sample)
        block.units.setdefault(sample.id, unit)
        block.clusters.setdefault(unit, sample.cluster if sample.cluster is not None else unit)
    for completion in run.completions(cell.key).values():
        if completion.sample_id in block.units:
            rows.completions[completion.key] = completion
    for judge in {ref.judge for ref in block.metrics if ref.judge is not None}:
        ids = {ref.metric.name: ref.id for ref in block.metrics if ref.judge == judge}
        for score in run.scores(judge, cell.key).values():
            if score.key in rows.completions and rows.completions[score.key].error is None:
                for name, value in score.values.items():
                    if name in ids and value is not None and math.isfinite(value):
                        rows.values.setdefault(ids[name], {})[score.key] = value


def unit_of(sample: Sample) -> str:
    """Return the question that ``sample`` asks; both orders of a question are one unit.

    A sample that is named after its cluster (``q7#ab`` in the cluster ``q7``) is one of several
    ways to ask one question.
    """
    cluster = sample.cluster
    return cluster if cluster is not None and sample.id.startswith(f"{cluster}#") else sample.id


def _reduce(block: Block, rows: ConditionRows) -> None:
    for ref in block.metrics:
        by_unit: dict[str, list[float]] = defaultdict(list)
        for key in sorted(rows.values.get(ref.id, {})):
            by_unit[block.units[key[1]]].append(rows.values[ref.id][key])
        rows.units[ref.id] = mean_by_unit(by_unit)


def mean_by_unit(values: Mapping[str, list[float]]) -> dict[str, float]:
    """Return each unit's mean, in order of the units' names."""
    return {unit: math.fsum(values[unit]) / len(values[unit]) for unit in sorted(values)}


def pooled(block: Block, parts: list[ConditionRows]) -> ConditionRows:
    """Return several conditions of a block as one; a unit's value is its mean over them."""
    pool = ConditionRows([cell for part in parts for cell in part.cells], parts=parts)
    for part in parts:
        pool.planned += part.planned
        pool.completions |= part.completions
    for ref in block.metrics:
        by_unit: dict[str, list[float]] = defaultdict(list)
        pool.values[ref.id] = {}
        for part in parts:
            pool.values[ref.id] |= part.values.get(ref.id, {})
            for unit, value in part.units[ref.id].items():
                by_unit[unit].append(value)
        pool.units[ref.id] = mean_by_unit(by_unit)
    return pool


def with_pools(block: Block, pools: Mapping[str, Sequence[str]]) -> dict[str, ConditionRows]:
    """Return the rows of every condition, pools among them.

    Args:
        block: The measure.
        pools: Label of a pool -> labels of its members.
    """
    rows = dict(block.conditions)
    for label, members in pools.items():
        parts = [rows[member] for member in members if member in rows]
        if parts:
            rows[label] = pooled(block, parts)
    return rows
