"""Read the candidates of a run: conditions with several labelled completions per sample."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping, Sequence
from typing import Literal

from trimtab.core.plan import Cell, JudgePlan
from trimtab.core.types import Completion, Sample, Score
from trimtab.reports.data.blocks import Block, ConditionRows
from trimtab.reports.data.judges import judge_name
from trimtab.reports.data.metrics import MetricRef
from trimtab.reports.data.source import RowKey, RunSource
from trimtab.reports.sections.selection.candidates import CandidateSet, Ranking
from trimtab.stats.selection import Candidates
from trimtab.text.answers import NOTHING, RECORDED, Extracted, canonical, chat

# Rules that need a mark which the model was asked for, or puts there by habit.
_FORMATTED = ("boxed", "hash")


def read_candidates(run: RunSource, blocks: Sequence[Block]) -> list[CandidateSet]:
    """Return the conditions that have several labelled completions per sample, in plan order.

    An imported file that looks as if it were made in two ways is there whole, and in its parts.
    """
    sets = []
    for block in blocks:
        labels = [ref for ref in block.metrics if ref.metric.name == "correct"]
        for label, rows in block.conditions.items():
            if labels and len(rows.cells) == 1 and rows.cells[0].num_samples > 1:
                judges = [ref.judge or "" for ref in labels]
                sets.append(_read(run, block, label, rows, judges))
                sets += [
                    _read(run, block, label, rows, judges, part)
                    for part in _parts(run, rows.cells[0])
                ]
    return sets


def _parts(run: RunSource, cell: Cell) -> list[str]:
    named = {str(_part(s)) for s in run.samples(cell.samples).values() if _part(s)}
    return sorted(named, key=lambda part: (len(part), part))


def _part(sample: Sample) -> object:
    return sample.metadata.get("part")


def _read(
    run: RunSource,
    block: Block,
    label: str,
    rows: ConditionRows,
    labellers: Sequence[str],
    part: str | None = None,
) -> CandidateSet:
    """Return the candidates of a condition, or of the part of it that is named."""
    cell, completions = rows.cells[0], rows.completions
    scores = run.scores(labellers[0], cell.key)
    known = run.samples(cell.samples)
    samples = [name for name, sample in known.items() if part is None or _part(sample) == part]
    inside = set(samples)
    texts = [c for c in completions.values() if c.text is not None and c.sample_id in inside]
    unknown = any(c.finish_reason == "unknown" for c in texts)
    candidates = CandidateSet(
        block.name,
        label if part is None else f"{label}, {part}",
        cell.split,
        cell.num_samples,
        num_planned=len(samples),
        truncated=None if unknown else sum(c.finish_reason == "length" for c in texts),
        num_completions=len(texts),
        labeller=next(j.component.name for j in run.judges() if j.key == labellers[0]),
    )
    for sample in samples:
        keys = [(cell.key, sample, index) for index in range(cell.num_samples)]
        _add(candidates, block.units[sample], [completions.get(k) for k in keys], keys, scores)
    candidates.clusters = {unit: block.clusters[unit] for unit in candidates.problems}
    fine = {key for key, row in completions.items() if row.error is None}
    candidates.rankings = _rankings(run, block, cell, candidates, fine, "ranking")
    candidates.ablations = _rankings(run, block, cell, candidates, fine, "ablation")
    candidates.greedy = _greedy(block, labellers[0], label)
    if len(labellers) > 1:
        first = {key: score for key, score in scores.items() if key[1] in inside}
        candidates.disagreeing = _disagreement(first, run.scores(labellers[1], cell.key))
    return candidates


def _add(
    candidates: CandidateSet,
    unit: str,
    texts: Sequence[Completion | None],
    keys: Sequence[RowKey],
    scores: Mapping[RowKey, Score],
) -> None:
    """Add one problem, if all of its candidates are there and labelled."""
    labels = [scores[k].values.get("correct") if k in scores else None for k in keys]
    shown = [c.text for c in texts if c is not None and c.text is not None]
    given = [Extracted.parse(scores[k].reason) if k in scores else NOTHING for k in keys]
    if any(label is None for label in labels) or len(shown) < len(keys):
        return
    seen = [chat(text) for text in shown]
    # an imported answer has no rule: which mark the text holds is seen in the text
    candidates.rules.update(
        read.rule if stored.rule == RECORDED else stored.rule
        for stored, read in zip(given, seen, strict=True)
    )
    candidates.problems[unit] = Candidates(
        tuple(label == 1 for label in labels),
        tuple(None if stored.answer is None else canonical(stored.answer) for stored in given),
    )
    candidates.lengths[unit] = [float(len(text)) for text in shown]
    candidates.formatted[unit] = [read.rule in _FORMATTED for read in seen]


def _rankings(
    run: RunSource,
    block: Block,
    cell: Cell,
    candidates: CandidateSet,
    fine: Collection[RowKey],
    role: Literal["ranking", "ablation"],
) -> list[Ranking]:
    """Return the scores of each ranking judge; only rows in ``fine`` hold no error."""
    plans = {judge.key: judge for judge in run.judges()}
    refs = [ref for ref in block.metrics if ref.judge is not None]
    units = {block.units[sample]: sample for sample in run.samples(cell.samples)}
    rankings = []
    for ref in (ref for ref in refs if ref.metric.role == role):
        judge = plans[ref.judge or ""]
        values = {
            key: value
            for key, score in run.scores(judge.key, cell.key).items()
            if key in fine and (value := score.values.get(ref.metric.name)) is not None
        }
        sign = -1 if ref.metric.higher_is_better else 1
        scores = {
            unit: [
                sign * _finite(values.get((cell.key, units[unit], index)))
                for index in range(cell.num_samples)
            ]
            for unit in candidates.problems
        }
        wholes = [
            _name(plans, refs, other)
            for other in refs
            if role == "ablation" and other.metric.role == "ranking" and other.judge is not None
            if _shown_everything(judge) == _shown_everything(plans[other.judge])
        ]
        name, whole = _name(plans, refs, ref), next(iter(wholes), None)
        rankings.append(Ranking(name, ref.metric.name, sign, scores, whole))
    return rankings


def _finite(value: float | None) -> float:
    return math.nan if value is None or not math.isfinite(value) else value


def _name(plans: Mapping[str, JudgePlan], refs: Sequence[MetricRef], ref: MetricRef) -> str:
    """Return what tables call the ranking by a metric."""
    metric = ref.metric.name
    peers = [plans[other.judge] for other in refs if other.metric.name == metric and other.judge]
    return judge_name(metric, plans[ref.judge or ""], peers)


def _shown_everything(judge: JudgePlan) -> tuple[str, str]:
    """Return what two judges agree on if one is the other's ablation."""
    config = {k: v for k, v in judge.component.config.items() if k != "ablation"}
    return judge.component.name, json.dumps(config, sort_keys=True)


def _greedy(block: Block, labeller: str, label: str) -> dict[str, float] | None:
    """Return the verdicts of the condition ``greedy``, if the block has one beside ``label``."""
    rows = block.conditions.get("greedy")
    if rows is None or label == "greedy":
        return None
    ids = [r.id for r in block.metrics if r.metric.name == "correct" and r.judge == labeller]
    means = rows.means.get(ids[0])
    return None if means is None else block.by_unit(means)


def _disagreement(
    first: Mapping[RowKey, Score], second: Mapping[RowKey, Score]
) -> tuple[int, int] | None:
    both = [
        (score.values.get("correct"), second[key].values.get("correct"))
        for key, score in first.items()
        if key in second
    ]
    labelled = [(a, b) for a, b in both if a is not None and b is not None]
    return (sum(a != b for a, b in labelled), len(labelled)) if labelled else None
