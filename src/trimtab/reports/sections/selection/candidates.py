"""Candidates of a run, problem by problem, as the selectors of ``trimtab.stats`` want them."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from trimtab.core.spec import Cell, JudgePlan
from trimtab.core.types import Completion, Sample, Score
from trimtab.reports.data.rows import Block, ConditionRows, MetricRef
from trimtab.reports.data.source import RowKey, RunSource
from trimtab.stats.selection import Candidates
from trimtab.text.answers import NOTHING, RECORDED, Extracted, canonical, chat

# Rules that need a mark which the model was asked for, or puts there by habit.
_FORMATTED = ("boxed", "hash")


@dataclass(frozen=True)
class Ranking:
    """One number by which candidates are ranked, turned so that lower is better.

    Attributes:
        name: How tables call it.
        metric: The metric's name.
        sign: -1 where the metric itself is better when higher, else 1.
        scores: Unit -> one number per candidate; NaN where there is none.
        whole: For an ablation, the ranking by the same model that is shown everything, if the run
            has it.
    """

    name: str
    metric: str
    sign: int
    scores: Mapping[str, list[float]]
    whole: str | None = None


@dataclass
class CandidateSet:
    """The candidates of one condition of one measure.

    Attributes:
        measure: Name of the block.
        condition: Label of the condition.
        split: Which split of the task.
        num_candidates: N.
        num_planned: Problems that there should be.
        problems: Unit -> labels and answers, for the problems with N labelled candidates.
        lengths: Unit -> characters of each candidate's text.
        formatted: Unit -> whether each answer stands behind ``####`` or in a box.
        clusters: Unit -> cluster.
        rankings: What candidates can be ranked by.
        ablations: Rankings by models that are shown less than there is.
        greedy: Unit -> whether the greedy answer is right, if there is a greedy condition.
        rules: How often each extraction rule found the answer of a labelled candidate.
        truncated: Candidates cut at the token limit; None where the file does not say.
        num_completions: Candidates that are there.
        labeller: Name of the judge that gives labels and answers.
        disagreeing: Candidates that a second labelling judge labels otherwise, and how many it
            labelled; None without one.
    """

    measure: str
    condition: str
    split: str
    num_candidates: int
    num_planned: int
    problems: dict[str, Candidates] = field(default_factory=dict)
    lengths: dict[str, list[float]] = field(default_factory=dict)
    formatted: dict[str, list[bool]] = field(default_factory=dict)
    clusters: dict[str, str] = field(default_factory=dict)
    rankings: list[Ranking] = field(default_factory=list)
    ablations: list[Ranking] = field(default_factory=list)
    greedy: dict[str, float] | None = None
    rules: Counter[str] = field(default_factory=Counter)
    truncated: int | None = 0
    num_completions: int = 0
    labeller: str = ""
    disagreeing: tuple[int, int] | None = None


def read_candidates(run: RunSource, blocks: Sequence[Block]) -> list[CandidateSet]:
    """Return the conditions that have several labelled completions per sample, in plan order.

    An imported file that looks as if it were made in two ways is there whole, and in its parts.
    """
    found = []
    for block in blocks:
        labels = [ref for ref in block.metrics if ref.metric.name == "correct"]
        for label, rows in block.conditions.items():
            if labels and len(rows.cells) == 1 and rows.cells[0].num_samples > 1:
                judges = [ref.judge or "" for ref in labels]
                found.append(_read(run, block, label, rows, judges))
                found += [
                    _read(run, block, label, rows, judges, part)
                    for part in _parts(run, rows.cells[0])
                ]
    return found


def _parts(run: RunSource, cell: Cell) -> list[str]:
    named = {str(s.metadata["part"]) for s in run.samples(cell.samples).values() if _part(s)}
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
    cell = rows.cells[0]
    scores = run.scores(labellers[0], cell.key)
    asked = run.samples(cell.samples)
    samples = [name for name, sample in asked.items() if part is None or _part(sample) == part]
    own = set(samples)
    texts = [c for c in rows.completions.values() if c.text is not None and c.sample_id in own]
    unknown = any(c.finish_reason == "unknown" for c in texts)
    made = CandidateSet(
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
        _add(made, block.units[sample], [rows.completions.get(k) for k in keys], keys, scores)
    made.clusters = {unit: block.clusters[unit] for unit in made.problems}
    made.rankings = _rankings(run, block, rows, made, "ranking")
    made.ablations = _rankings(run, block, rows, made, "ablation")
    made.greedy = _greedy(block, labellers[0], label)
    if len(labellers) > 1:
        known = {key: score for key, score in scores.items() if key[1] in own}
        made.disagreeing = _disagreement(known, run.scores(labellers[1], cell.key))
    return made


def _add(
    made: CandidateSet,
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
    made.rules.update(
        found.rule if own.rule == RECORDED else own.rule
        for own, found in zip(given, seen, strict=True)
    )
    made.problems[unit] = Candidates(
        tuple(label == 1 for label in labels),
        tuple(None if own.answer is None else canonical(own.answer) for own in given),
    )
    made.lengths[unit] = [float(len(text)) for text in shown]
    made.formatted[unit] = [found.rule in _FORMATTED for found in seen]


def _rankings(
    run: RunSource,
    block: Block,
    rows: ConditionRows,
    made: CandidateSet,
    role: Literal["ranking", "ablation"],
) -> list[Ranking]:
    cell = rows.cells[0]
    plans = {judge.key: judge for judge in run.judges()}
    refs = [ref for ref in block.metrics if ref.judge is not None]
    units = {block.units[sample]: sample for sample in run.samples(cell.samples)}
    found = []
    for ref in (ref for ref in refs if ref.metric.role == role):
        judge, values = plans[ref.judge or ""], rows.values.get(ref.id, {})
        sign = -1 if ref.metric.higher_is_better else 1
        scores = {
            unit: [
                sign * values.get((cell.key, units[unit], index), math.nan)
                for index in range(cell.num_samples)
            ]
            for unit in made.problems
        }
        wholes = [
            judge_name(
                other.metric.name, plans[other.judge], _peers(plans, refs, other.metric.name)
            )
            for other in refs
            if role == "ablation" and other.metric.role == "ranking" and other.judge is not None
            if _shown_everything(judge) == _shown_everything(plans[other.judge])
        ]
        name = judge_name(ref.metric.name, judge, _peers(plans, refs, ref.metric.name))
        found.append(Ranking(name, ref.metric.name, sign, scores, next(iter(wholes), None)))
    return found


def _peers(
    plans: Mapping[str, JudgePlan], refs: Sequence[MetricRef], metric: str
) -> list[JudgePlan]:
    return [plans[ref.judge] for ref in refs if ref.metric.name == metric and ref.judge]


def _shown_everything(judge: JudgePlan) -> tuple[str, str]:
    """Return what two judges agree on if one is the other's ablation."""
    config = {k: v for k, v in judge.component.config.items() if k != "ablation"}
    return judge.component.name, json.dumps(config, sort_keys=True)


def judge_name(metric: str, judge: JudgePlan, peers: Sequence[JudgePlan]) -> str:
    """Return the metric's name, with what sets its judge apart where several give the metric.

    That is as few keys of the configuration as can be, ``kind`` first.
    """
    if len(peers) == 1:
        return metric
    configs = [peer.component.config for peer in peers]
    named: list[str] = []
    for key in sorted({key for config in configs for key in config}, key=_kind_first):
        more = [*named, key]
        if len({_said(config, more) for config in configs}) > len(
            {_said(config, named) for config in configs}
        ):
            named = more
    said = _said(judge.component.config, named)
    return f"{metric} ({said})" if said else metric


def _kind_first(key: str) -> tuple[bool, str]:
    return key != "kind", key


def _said(config: Mapping[str, Any], keys: Sequence[str]) -> str:
    """Return what a configuration says of ``keys``: a kind by itself, of a path the end."""
    values = {key: config[key] for key in keys if key in config}
    shown = {k: v.rpartition("/")[2] if isinstance(v, str) else v for k, v in values.items()}
    return ", ".join(
        v if k == "kind" else f"{k}={v if isinstance(v, str) else json.dumps(v, sort_keys=True)}"
        for k, v in shown.items()
    )


def _greedy(block: Block, labeller: str, label: str) -> dict[str, float] | None:
    """Return the verdicts of the condition ``greedy``, if the block has one beside ``label``."""
    rows = block.conditions.get("greedy")
    if rows is None or label == "greedy":
        return None
    ids = [r.id for r in block.metrics if r.metric.name == "correct" and r.judge == labeller]
    return rows.units.get(ids[0])


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
