"""Score one window: a judge's verdicts on completions that are there."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from trimtab.core.errors import JudgeError
from trimtab.core.plan import Cell, JudgePlan
from trimtab.core.types import Score
from trimtab.judges.base import JUDGES, Item, Judge, Resource, Verdict
from trimtab.runs.store.run import RowKey, Run
from trimtab.runs.work.engines import EnginePool
from trimtab.runs.work.resources import resource_of
from trimtab.runs.work.units import ScoreUnit

_API_WINDOW = 32


@dataclass(frozen=True)
class PreparedJudge:
    """A judge ready to score.

    Attributes:
        plan: Its plan.
        judge: The judge.
        resource: What it is handed.
    """

    plan: JudgePlan
    judge: Judge[Any]
    resource: Resource


def prepare_judge(run: Run, plan: JudgePlan, pool: EnginePool) -> PreparedJudge:
    """Load what a judge needs."""
    judge = JUDGES.build(plan.component.name, plan.component.config)
    return PreparedJudge(plan, judge, resource_of(run, plan, judge, pool))


def cells_of(run: Run, judge: JudgePlan) -> list[Cell]:
    """Return the cells that ``judge`` scores."""
    return [cell for cell in run.plan.cells if judge.scores(cell)]


def owed(run: Run, judge: JudgePlan) -> int:
    """Return how many completions ``judge`` has not scored."""
    return sum(
        len(run.completions(cell.key).keys() - run.scores(judge.key, cell.key).keys())
        for cell in cells_of(run, judge)
    )


def score_window(
    run: Run, prepared: PreparedJudge, unit: ScoreUnit, missing: Sequence[RowKey], attempt: int
) -> Iterator[list[Score]]:
    """Yield the scores of the rows in ``missing``, some at a time.

    A judge that computes itself is given the whole window again: its sums depend on the shape of a
    batch. An API's replies don't depend on their neighbours, so it is asked for what is missing
    alone, and in small parts, so that a reached cap leaves few paid replies unscored.

    Raises:
        JudgeError: The judge failed.
    """
    items = _items(run, unit)
    wanted = set(missing)
    if prepared.judge.endpoint is not None:
        items = [item for item in items if item.completion.key in wanted]
        parts = [items[at : at + _API_WINDOW] for at in range(0, len(items), _API_WINDOW)]
    else:
        parts = [items]
    for part in parts:
        given = _with_votes(run, prepared.plan, part)
        rows = _verdicts(prepared.plan, prepared.judge, given, prepared.resource, attempt)
        yield [row for row in rows if row.key in wanted]


def _with_votes(run: Run, judge: JudgePlan, window: Sequence[Item]) -> Sequence[Item]:
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


def _items(run: Run, unit: ScoreUnit) -> list[Item]:
    """Return the completions of a window that are there, with their samples."""
    cells = {cell.key: cell for cell in run.plan.cells}
    samples = {key: run.samples(cells[key].samples) for key in unit.cells}
    completions = {key: run.completions(key) for key in unit.cells}
    return [
        Item(samples[row[0]][row[1]], completions[row[0]][row])
        for row in unit.rows
        if row in completions[row[0]]
    ]


def _verdicts(
    judge: JudgePlan,
    built: Judge[Any],
    window: Sequence[Item],
    resource: Resource,
    attempt: int,
) -> list[Score]:
    verdicts = built.score(window, resource)
    if len(verdicts) != len(window):
        raise JudgeError(f"{judge.key} returned {len(verdicts)} verdicts for {len(window)} items.")
    return [
        _score_row(judge, item, verdict, attempt)
        for item, verdict in zip(window, verdicts, strict=True)
    ]


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
