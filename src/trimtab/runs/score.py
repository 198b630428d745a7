"""The score phase: every judge scores every completion of its kind that it has not scored yet.

Each judge model is loaded once; judges that need the same one share it, and a judge that needs the
subject gets the subject with its edits off. A judge that fails leaves its scores owed and stops no
other judge. As in generation, windows with a missing score are scored whole.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from trimtab.core.errors import JudgeError, StoreError, TrimtabError
from trimtab.core.lazy import lazy
from trimtab.core.records import SegmentWriter
from trimtab.core.spec import Cell, JudgePlan
from trimtab.core.types import Score
from trimtab.judges.base import JUDGES, Item, Judge, Resource, Verdict
from trimtab.runs.engines import EnginePool
from trimtab.runs.lease import Lease
from trimtab.runs.progress import Progress
from trimtab.runs.store import Run

if TYPE_CHECKING:
    from trimtab.clients import http
    from trimtab.engine import chat
    from trimtab.runs import energy
else:
    http = lazy("trimtab.clients.http")
    chat = lazy("trimtab.engine.chat")
    energy = lazy("trimtab.runs.energy")

_log = logging.getLogger(__name__)


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


def score(run: Run, pool: EnginePool, attempt: int, progress: Progress) -> None:
    """Score what is owed; raise JudgeError at the end if a judge failed."""
    # judges of a model that is loaded already come first, so that none is loaded twice; those that
    # learn from others' labels come last
    judges = sorted(
        run.judges(),
        key=lambda j: (
            j.fit is not None,
            j.model_identity not in pool.loaded,
            j.model_identity or "",
            j.key,
        ),
    )
    failures = []
    for judge in judges:
        if not owed(run, judge):
            continue
        if judge.model_identity is not None:
            pool.keep_only({judge.model_identity})
        try:
            _score_one(run, judge, pool, attempt, progress)
        except (StoreError, KeyboardInterrupt):
            raise
        except Exception as error:  # a judge is extension code: whatever it raises is its failure
            _log.debug("judge %s failed", judge.key, exc_info=True)
            what = str(error) if isinstance(error, TrimtabError) else repr(error)
            failures.append(f"{judge.key}: {what}")
            progress.note(f"The judge {judge.key} failed and is skipped: {what}")
    if failures:
        raise JudgeError(
            "Judges failed, and their scores are owed: " + "; ".join(failures),
            hint=f"Nothing else is lost. Run `trimtab score {run.dir}` when the cause is mended.",
        )


def _score_one(
    run: Run, judge: JudgePlan, pool: EnginePool, attempt: int, progress: Progress
) -> None:
    built = JUDGES.build(judge.component.name, judge.component.config)
    cells = cells_of(run, judge)
    with Lease(run.dir, f"score-{judge.key}") as lease:
        present = {key for cell in cells for key in run.scores(judge.key, cell.key)}
        items = [item for cell in cells for item in _items(run, cell)]
        done = sum(item.completion.key in present for item in items)
        progress.start(f"score {judge.component.name}", len(items), done)
        resource = _resource(run, built, judge, pool)
        writers: dict[str, SegmentWriter] = {}
        try:
            for at in range(0, len(items), run.plan.window):
                window = items[at : at + run.plan.window]
                missing = {i.completion.key for i in window if i.completion.key not in present}
                if missing:
                    lease.check()
                    rows = _verdicts(judge, built, window, resource, attempt)
                    _write(run, judge, [r for r in rows if r.key in missing], writers, attempt)
                    progress.advance(len(missing), 0)
        finally:
            for writer in writers.values():
                writer.close()
        progress.finish()


def _items(run: Run, cell: Cell) -> list[Item]:
    samples = run.samples(cell.samples)
    return [Item(samples[c.sample_id], c) for c in run.completions(cell.key).values()]


def _resource(run: Run, built: Judge[Any], judge: JudgePlan, pool: EnginePool) -> Resource:
    if built.need == "energy":
        return energy.ready(run, judge, pool)
    if built.endpoint is not None:
        return http.HttpChat(built.endpoint)
    if judge.model is None or judge.model_identity is None:
        return None
    if built.need == "embedder":
        return pool.encoder(judge.model, judge.model_identity)
    return chat.LocalChat(pool.engine(judge.model, judge.model_identity))


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
