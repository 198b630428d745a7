"""Blocks: the conditions of one measure, reduced to numbers that are comparable row by row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from trimtab.core.plan import Cell
from trimtab.core.types import Completion, Sample
from trimtab.reports.data.answers import Answers
from trimtab.reports.data.cells import CellRows, Ints
from trimtab.reports.data.metrics import Floats, MetricRef
from trimtab.reports.data.source import RowKey, RunSource
from trimtab.reports.data.statistics import codes_of
from trimtab.reports.data.units import mean_over
from trimtab.reports.data.votes import Votes


@dataclass
class ConditionRows:
    """The rows of one condition in one block.

    Attributes:
        source: The records.
        known: Ids of the samples that the plan names.
        cells: Its cells (several if it was run with several seeds).
        planned: Completions that the plan asks for.
        rows: What is kept of each cell's rows, by the cell's key.
        means: Metric id -> mean of each unit's values; NaN where it has none, [U].
        parts: The conditions it is pooled from, if it is; empty otherwise.
    """

    source: RunSource
    known: Mapping[str, object]
    cells: list[Cell] = field(default_factory=list)
    planned: int = 0
    rows: dict[str, CellRows] = field(default_factory=dict)
    means: dict[str, Floats] = field(default_factory=dict)
    parts: list[ConditionRows] = field(default_factory=list)

    @property
    def num_rows(self) -> int:
        """How many completions exist."""
        return sum(rows.num_rows for rows in self.rows.values())

    @property
    def protocols(self) -> set[str]:
        """The procedures that completions were made by."""
        return {name for rows in self.rows.values() for name in rows.protocols}

    @property
    def decides(self) -> bool:
        """Whether an intervention decided anything while it ran."""
        return any(rows.decides for rows in self.rows.values())

    def num_scored(self, metric: int) -> int:
        """Return how many completions have a value of the block's metric with this number."""
        return sum(
            int(np.count_nonzero(~np.isnan(rows.values_NM[:, metric])))
            for rows in self.rows.values()
        )

    def read(self) -> Iterator[tuple[RowKey, Completion]]:
        """Read the completions again, cell by cell: those of a large run are not kept."""
        for cell in self.cells:
            for key, row in self.source.completions(cell.key).items():
                if row.sample_id in self.known:
                    yield key, row

    @property
    def completions(self) -> dict[RowKey, Completion]:
        """The completions that exist, by key; read again each time it is asked for."""
        return dict(self.read())


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
        clusters: Unit -> cluster; units of one cluster are not independent. Arrays of units are in
            this order.
        numbers: Sample id -> number of its unit.
        answers: Texts that a page can show; None where nothing is written.
        votes: The verdicts that several judges give.
        pools: Pools of conditions that were made before, by their label.
    """

    name: str
    measure: str
    metrics: list[MetricRef]
    conditions: dict[str, ConditionRows] = field(default_factory=dict)
    samples: dict[str, Sample] = field(default_factory=dict)
    units: dict[str, str] = field(default_factory=dict)
    clusters: dict[str, str] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)
    answers: Answers | None = None
    votes: list[Votes] = field(default_factory=list)
    pools: dict[str, ConditionRows] = field(default_factory=dict)

    @cached_property
    def cluster_codes(self) -> Ints:
        """The number of each unit's cluster in the order of their names, [U]; read all first."""
        return codes_of(list(self.clusters.values()))

    @cached_property
    def unit_codes(self) -> Ints:
        """The number of each unit in the order of their names, [U]; read all first."""
        return codes_of(list(self.clusters))

    def by_unit(self, means_U: Floats) -> dict[str, float]:
        """Return the value of each unit that has one, in the order of the units' names."""
        pairs = zip(self.clusters, means_U.tolist(), strict=True)
        return dict(sorted((unit, value) for unit, value in pairs if value == value))


def _pooled(block: Block, parts: list[ConditionRows]) -> ConditionRows:
    """Return several conditions of a block as one; a unit's value is its mean over them."""
    pool = ConditionRows(parts[0].source, parts[0].known, parts=parts)
    for part in parts:
        pool.cells += part.cells
        pool.planned += part.planned
        pool.rows |= part.rows
    for ref in block.metrics:
        pool.means[ref.id] = mean_over([part.means[ref.id] for part in parts])
    return pool


def with_pools(block: Block, pools: Mapping[str, Sequence[str]]) -> dict[str, ConditionRows]:
    """Return the rows of every condition, pools among them.

    Args:
        block: The measure.
        pools: Label of a pool -> labels of its members.
    """
    rows = dict(block.conditions)
    for label, members in pools.items():
        parts = [block.conditions[member] for member in members if member in block.conditions]
        if parts:
            if label not in block.pools:
                block.pools[label] = _pooled(block, parts)
            rows[label] = block.pools[label]
    return rows
