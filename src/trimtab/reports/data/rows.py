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

from trimtab.core.spec import Cell, JudgePlan, Metric
from trimtab.core.types import Completion, Sample
from trimtab.reports.data.source import RowKey, RunSource

TRUTH_INFO = "truth_info"
# Texts that another question of the condition got too: a model that says one thing to all.
SAME_ANSWER = "same_answer"
# Negative log-likelihood per token, whose exponential is a perplexity.
NLL = "nll_per_token"


@dataclass(frozen=True)
class MetricRef:
    """A metric as it is named within one block.

    Attributes:
        id: The metric's name; where judges of a block share it, ``@`` and the judge's name follow,
            or the judge's key where that is needed to tell them apart.
        metric: The metric itself.
        judge: Key of the judge that gives it; None if it is derived.
        parts: The two metrics (ids) whose conjunction it is; None of what is derived from texts.
    """

    id: str
    metric: Metric
    judge: str | None = None
    parts: tuple[str, str] | None = None


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
            blocks[name] = Block(name, cell.measure, _metrics(cell, run.judges()), {})
        rows = blocks[name].conditions.setdefault(cell.condition, ConditionRows([]))
        rows.cells.append(cell)
        _read_cell(run, cell, blocks[name], rows)
    for block in blocks.values():
        for rows in block.conditions.values():
            _derive(block, rows)
            _reduce(block, rows)
    return list(blocks.values())


def _metrics(cell: Cell, judges: Sequence[JudgePlan]) -> list[MetricRef]:
    # a panel stands for its members, whose verdicts are in the table of agreement
    members = {key for judge in judges for key in judge.members}
    given = [
        (judge, metric)
        for judge in judges
        if judge.key not in members and applies(judge, cell)
        for metric in judge.metrics
    ]
    names = [metric.name for _, metric in given]
    called = [(metric.name, judge.component.name) for judge, metric in given]
    refs = []
    for judge, metric in given:
        one = called.count((metric.name, judge.component.name)) == 1
        by = judge.component.name if one else judge.key
        name = metric.name if names.count(metric.name) == 1 else f"{metric.name}@{by}"
        refs.append(MetricRef(name, metric, judge.key))
    truth = [ref for ref in refs if ref.metric.name == "truth"]
    info = [ref for ref in refs if ref.metric.name == "info"]
    both = Metric(name=TRUTH_INFO, kind="binary", role="effect", higher_is_better=True)
    # The k-th truth judge goes with the k-th info judge: two pairs of judges stay two pairs.
    for left, right in zip(truth, info, strict=False):
        suffix = left.id.removeprefix("truth")
        refs.append(MetricRef(TRUTH_INFO + suffix, both, parts=(left.id, right.id)))
    if cell.output == "text" and any(ref.metric.role == "damage" for ref in refs):
        same = Metric(name=SAME_ANSWER, kind="binary", role="damage", higher_is_better=False)
        refs.append(MetricRef(SAME_ANSWER, same))
    return refs


def applies(judge: JudgePlan, cell: Cell) -> bool:
    """Whether ``judge`` scores the completions of ``cell``."""
    return judge.output == cell.output and (
        judge.measures is None or cell.measure in judge.measures
    )


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


def _derive(block: Block, rows: ConditionRows) -> None:
    for ref in block.metrics:
        if ref.parts is not None:
            left, right = (rows.values.get(part, {}) for part in ref.parts)
            rows.values[ref.id] = {
                key: float(value > 0.5 and right[key] > 0.5)
                for key, value in left.items()
                if key in right
            }
        elif ref.judge is None:
            rows.values[ref.id] = _same_answers(block, rows)


def _same_answers(block: Block, rows: ConditionRows) -> dict[RowKey, float]:
    """Return 1 for each text that another question got too, whatever its case and spaces."""
    texts = {
        key: " ".join(completion.text.split()).casefold()
        for key, completion in rows.completions.items()
        if completion.error is None and completion.text is not None
    }
    asked: dict[str, set[str]] = defaultdict(set)
    for key, text in texts.items():
        asked[text].add(block.units[key[1]])
    return {key: float(len(asked[text]) > 1) for key, text in texts.items()}


def _reduce(block: Block, rows: ConditionRows) -> None:
    for ref in block.metrics:
        by_unit: dict[str, list[float]] = defaultdict(list)
        for key in sorted(rows.values.get(ref.id, {})):
            by_unit[block.units[key[1]]].append(rows.values[ref.id][key])
        rows.units[ref.id] = mean_by_unit(by_unit)


def mean_by_unit(values: Mapping[str, list[float]]) -> dict[str, float]:
    """Return each unit's mean, in order of the units' names."""
    return {unit: math.fsum(values[unit]) / len(values[unit]) for unit in sorted(values)}
