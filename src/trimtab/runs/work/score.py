"""Score one window: a judge's verdicts on completions that are there."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from trimtab.core.errors import JudgeError
from trimtab.core.plan import Cell, JudgePlan
from trimtab.core.presence import RowKey
from trimtab.core.types import Completion, Sample, Score
from trimtab.interventions.base import INTERVENTIONS, Treatment
from trimtab.judges.base import JUDGES, Item, Judge, Resource, Verdict
from trimtab.runs.plan.judges import require_unchanged
from trimtab.runs.store.run import Run
from trimtab.runs.work.engines import EnginePool
from trimtab.runs.work.resources import fitted_of, resource_of
from trimtab.runs.work.units import ScoreUnit, cells_of
from trimtab.steering.projections import Asked


@dataclass(frozen=True)
class PreparedJudge:
    """A judge ready to score.

    Attributes:
        plan: Its plan.
        judge: The judge.
        resource: What it is handed.
        treatments: What is done to the model in each cell, for a judge that reads the model.
    """

    plan: JudgePlan
    judge: Judge[Any]
    resource: Resource
    treatments: dict[str, Treatment] = field(default_factory=dict)


def prepare_judge(run: Run, plan: JudgePlan, pool: EnginePool) -> PreparedJudge:
    """Load what a judge needs; raise ConfigError if a file of it changed since planning."""
    judge = JUDGES.build(plan.component.name, plan.component.config)
    require_unchanged(plan, judge)
    return PreparedJudge(plan, judge, resource_of(run, plan, judge, pool))


def owed(run: Run, judge: JudgePlan) -> int:
    """Return how many completions ``judge`` has not scored."""
    return sum(
        len(run.completion_keys(cell.key) - run.score_keys(judge.key, cell.key))
        for cell in cells_of(run, judge)
    )


def score_window(
    run: Run, prepared: PreparedJudge, unit: ScoreUnit, missing: Sequence[RowKey], attempt: int
) -> Iterator[Score]:
    """Yield the scores of the rows in ``missing``, each as soon as it is known.

    A judge that computes in batches is given the whole window, so that a resumed run repeats the
    batches of an undisturbed one, but for those of which no row is missing.

    Raises:
        JudgeError: The judge failed.
    """
    plan = prepared.plan
    left = set(missing)
    found = _items(run, unit, bare=not prepared.judge.READS_FORM)
    items = [replace(item, owed=item.completion.key in left) for item in found]
    items = _with_votes(run, plan, items)
    if prepared.judge.READS_MODEL:
        items = _with_asked(run, prepared, items)
    for number, verdict in prepared.judge.score(items, prepared.resource):
        key = items[number].completion.key
        if key in left:
            left.remove(key)
            yield _score_row(plan, items[number], verdict, attempt)
    if left:
        raise JudgeError(f"{plan.key} gave no verdict on {len(left)} of {len(missing)} items.")


def _with_votes(run: Run, judge: JudgePlan, window: list[Item]) -> list[Item]:
    """Return the items of a panel with its members' scores; raise JudgeError if one is owed."""
    if not judge.members:
        return window
    cells = {item.completion.cell for item in window}
    scores = {(m, cell): run.scores(m, cell) for m in judge.members for cell in cells}
    voted = []
    for item in window:
        key = item.completion.key
        found = [scores[member, key[0]].get(key) for member in judge.members]
        if None in found:
            raise JudgeError(
                f"The panel's member {judge.members[found.index(None)]} has not scored all yet.",
                hint="Its scores are owed; the panel votes when they are there.",
            )
        voted.append(replace(item, votes=tuple(row.values for row in found if row is not None)))
    return voted


def _with_asked(run: Run, prepared: PreparedJudge, window: list[Item]) -> list[Item]:
    """Return the items with how the model was asked, where the judge's model can be so again."""
    cells = {cell.key: cell for cell in run.plan.cells}
    for key in {item.completion.cell for item in window} - prepared.treatments.keys():
        acting = INTERVENTIONS.build(cells[key].intervention.name, cells[key].intervention.config)
        prepared.treatments[key] = acting.treat(fitted_of(run, cells[key].artifacts))
    return [
        replace(item, asked=_asked(cell, prepared.treatments[cell.key], item.sample))
        if cell.model_identity == prepared.plan.model_identity
        else item
        for item in window
        for cell in (cells[item.completion.cell],)
    ]


def _asked(cell: Cell, treatment: Treatment, sample: Sample) -> Asked | None:
    """Return how a row was asked; None where what was added depends on more than its prompt."""
    edits = treatment.edits
    if treatment.dynamic is not None or any(e.source and e.source.of_partner for e in edits):
        return None
    messages = treatment.prompt(sample.messages)
    return Asked(messages, cell.rendering, sample.preamble, edits, treatment.adapter)


def _items(run: Run, unit: ScoreUnit, *, bare: bool) -> list[Item]:
    """Return the completions of a window that are there, with their samples.

    ``bare`` ones have no trace of their cell's trigger.
    """
    cells = {cell.key: cell for cell in run.plan.cells}
    samples = {key: run.samples(cells[key].samples) for key in unit.cells}
    completions = {key: run.completions(key) for key in unit.cells}
    return [
        Item(
            samples[row[0]][row[1]],
            _without_trigger(cells[row[0]], completions[row[0]][row], bare=bare),
        )
        for row in unit.rows
        if row in completions[row[0]]
    ]


def _without_trigger(cell: Cell, completion: Completion, *, bare: bool) -> Completion:
    if cell.trigger is None or completion.text is None or not bare:
        return completion
    return completion.model_copy(update={"text": cell.trigger.bare(completion.text)})


def _score_row(judge: JudgePlan, item: Item, verdict: Verdict, attempt: int) -> Score:
    names = {metric.name for metric in judge.metrics}
    if set(verdict.values) != names:
        raise JudgeError(
            f"{judge.key} must give the metrics {sorted(names)}, it gave {sorted(verdict.values)}."
        )
    return Score(
        cell=item.completion.cell,
        sample_id=item.completion.sample_id,
        index=item.completion.index,
        judge=judge.key,
        values=verdict.values,
        reason=verdict.reason,
        error=verdict.error,
        attempt=attempt,
        time=time.time(),
    )
