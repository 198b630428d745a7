"""The score phase: every judge scores every completion of its kind that it has not scored yet.

Each judge model is loaded once; judges that need the same one share it, and a judge that needs the
subject gets the subject with its edits off. A judge that fails leaves its scores owed and stops no
other judge. As in generation, windows with a missing score are scored whole.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trimtab.core.errors import JudgeError, StoreError, TrimtabError
from trimtab.core.lazy import lazy
from trimtab.core.plan import Cell, JudgePlan
from trimtab.core.records import SegmentWriter
from trimtab.core.spec import ModelSpec
from trimtab.core.types import Score
from trimtab.judges.base import JUDGES, Item, Judge, Resource, Verdict
from trimtab.models.load import guess_device
from trimtab.runs.store.claims import Lease
from trimtab.runs.store.run import Run
from trimtab.runs.usage.progress import Progress
from trimtab.runs.work.engines import EnginePool

if TYPE_CHECKING:
    from trimtab.clients import budget, http
    from trimtab.engine import chat
    from trimtab.runs.work import rerankers
else:
    budget = lazy("trimtab.clients.budget")
    http = lazy("trimtab.clients.http")
    chat = lazy("trimtab.engine.chat")
    rerankers = lazy("trimtab.runs.work.rerankers")

_log = logging.getLogger(__name__)

SPEND = "spend.jsonl"
_API_WINDOW = 32


def cells_of(run: Run, judge: JudgePlan) -> list[Cell]:
    """Return the cells that ``judge`` scores."""
    return [
        cell
        for cell in run.plan.cells
        if cell.output == judge.output
        and (judge.measures is None or cell.measure in judge.measures)
    ]


def owed(run: Run, judge: JudgePlan) -> int:
    """Return how many completions ``judge`` has not scored."""
    return sum(
        len(run.completions(cell.key).keys() - run.scores(judge.key, cell.key).keys())
        for cell in cells_of(run, judge)
    )


@dataclass(frozen=True)
class ScoreJob:
    """A run whose scores are owed.

    Attributes:
        run: The run.
        attempt: Number of the attempt that scores it.
        progress: Told what happens.
        threads: Threads of torch for this run's judges; None leaves them be.
    """

    run: Run
    attempt: int
    progress: Progress
    threads: int | None = None


def score_runs(jobs: Sequence[ScoreJob], pool: EnginePool) -> None:
    """Score what several runs owe; a judge's model is loaded once for them all.

    Raises:
        JudgeError: Judges failed; their scores stay owed, and all others have scored.
    """
    # a model that is loaded already comes first; panels come after the members whose votes they
    # count, and those that learn from others' labels come last
    todo = sorted(
        ((job, judge) for job in jobs for judge in job.run.judges()),
        key=lambda task: (
            task[1].fit is not None,
            bool(task[1].members),
            task[1].model_identity not in pool.loaded,
            task[1].model_identity or "",
            task[1].key,
        ),
    )
    for job in jobs:
        _tell_missing(job)
    failures: dict[Path, list[str]] = {}
    for job, judge in todo:
        if not owed(job.run, judge):
            continue
        if judge.model_identity is not None:
            pool.keep_only({judge.model_identity})
        try:
            pool.threads = job.threads
            _score_one(job, judge, pool)
        except (StoreError, KeyboardInterrupt):
            raise
        except Exception as error:  # a judge is extension code: whatever it raises is its failure
            _log.debug("judge %s failed", judge.key, exc_info=True)
            what = str(error) if isinstance(error, TrimtabError) else repr(error)
            failures.setdefault(job.run.dir, []).append(f"{judge.key}: {what}")
            job.progress.note(f"The judge {judge.key} failed and is skipped: {what}")
    if failures:
        folders = " ".join(map(str, failures))
        raise JudgeError(
            "Judges failed, and their scores are owed: "
            + "; ".join(line for lines in failures.values() for line in lines),
            hint=f"Nothing else is lost. Run `trimtab score {folders}` when the cause is mended.",
        )


def _tell_missing(job: ScoreJob) -> None:
    """Say what can't be scored yet: an early score is no mistake, and must not look like all."""
    missing = sum(len(job.run.owed(cell)) for cell in job.run.plan.cells)
    if missing:
        job.progress.note(
            f"note: {missing} completions are not there yet and can't be scored; "
            f"`trimtab generate {job.run.dir}` makes them"
        )


def _score_one(job: ScoreJob, judge: JudgePlan, pool: EnginePool) -> None:
    run, attempt, progress = job.run, job.attempt, job.progress
    built = JUDGES.build(judge.component.name, judge.component.config)
    cells = cells_of(run, judge)
    with Lease(run.dir, f"score-{judge.key}") as lease:
        present = {key for cell in cells for key in run.scores(judge.key, cell.key)}
        items = [item for cell in cells for item in _items(run, cell)]
        done = sum(item.completion.key in present for item in items)
        progress.start(f"score {judge.component.name}", len(items), done)
        resource = _resource(run, built, judge, pool)
        size = run.plan.window
        if built.endpoint is not None:
            # an API's replies don't depend on their neighbours: ask for what is missing only, and
            # write scores often, so that a reached cap leaves few paid replies unscored
            items, size = [i for i in items if i.completion.key not in present], _API_WINDOW
        writers: dict[str, SegmentWriter] = {}
        try:
            for at in range(0, len(items), size):
                window = items[at : at + size]
                missing = {i.completion.key for i in window if i.completion.key not in present}
                if missing:
                    lease.check()
                    asked = _with_votes(run, judge, window)
                    rows = _verdicts(judge, built, asked, resource, attempt)
                    _write(run, judge, [r for r in rows if r.key in missing], writers, attempt)
                    progress.advance(len(missing), 0)
        finally:
            for writer in writers.values():
                writer.close()
        progress.finish()


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


def _items(run: Run, cell: Cell) -> list[Item]:
    samples = run.samples(cell.samples)
    return [Item(samples[c.sample_id], c) for c in run.completions(cell.key).values()]


def _resource(run: Run, built: Judge[Any], judge: JudgePlan, pool: EnginePool) -> Resource:
    if built.need == "energy":
        here = None if judge.model is None else _here(judge.model)
        return rerankers.ready(run, judge.model_copy(update={"model": here}), pool)
    if built.endpoint is not None:
        return http.HttpChat(built.endpoint, ledger_of(run), judge.key)
    if judge.model is None or judge.model_identity is None:
        return None
    model = _here(judge.model)
    if built.need == "embedder":
        return pool.encoder(model, judge.model_identity, built.encoder)
    return chat.LocalChat(pool.engine(model, judge.model_identity))


def ledger_of(run: Run) -> budget.Ledger:
    """Return the ledger of what a run spends on APIs, shared by all its judges and attempts."""
    return budget.Ledger(run.dir / SPEND)


def _here(model: ModelSpec) -> ModelSpec:
    """Return ``model`` on a device of this machine: a run may be scored where it was not made."""
    if model.device == "cpu" or guess_device() == model.device:
        return model
    return model.model_copy(update={"device": guess_device()})


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


def _write(
    run: Run,
    judge: JudgePlan,
    rows: Sequence[Score],
    writers: dict[str, SegmentWriter],
    attempt: int,
) -> None:
    by_cell: dict[str, list[Score]] = {}
    for row in rows:
        by_cell.setdefault(row.cell, []).append(row)
    for cell, mine in by_cell.items():
        if cell not in writers:
            writers[cell] = run.score_writer(attempt, judge.key, cell)
        writers[cell].append(mine)
