"""The generate phase: rows of many cells share one engine, and each is written as it finishes.

Rows are cut into windows that depend on the plan alone. A window with a missing row is generated as
a whole again, and rows that are there already are dropped: floating-point sums depend on the shape
of a batch, and this way a resumed run repeats the shapes of an undisturbed one.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from trimtab.core.errors import StoreError
from trimtab.core.keys import derive_seed
from trimtab.core.lazy import lazy
from trimtab.core.plan import Cell
from trimtab.core.records import SegmentWriter
from trimtab.core.types import Completion, Sample
from trimtab.interventions.base import INTERVENTIONS, Intervention
from trimtab.runs.store import artifacts
from trimtab.runs.store.claims import Lease
from trimtab.runs.store.run import Run
from trimtab.runs.usage.progress import Progress
from trimtab.runs.work.engines import EnginePool
from trimtab.steering.gated import gated
from trimtab.steering.partners import partners
from trimtab.tasks.base import TASKS, Task

if TYPE_CHECKING:
    from trimtab.engine import request as rq
    from trimtab.engine.engine import Engine
else:
    rq = lazy("trimtab.engine.request")

RowKey = tuple[str, str, int]


def windows(run: Run, cells: Sequence[Cell]) -> list[list[RowKey]]:
    """Cut the rows of ``cells`` into windows: all cells of a sample side by side.

    Cells share windows if they have the same samples, model and kind of output. Rows that were
    taken over from another run are in no window.
    """
    groups: dict[tuple[str, str, str, str], list[Cell]] = {}
    for cell in cells:
        key = (cell.model_identity, cell.model.dtype, cell.output, cell.samples)
        groups.setdefault(key, []).append(cell)
    result = []
    for group in groups.values():
        rows = [
            (cell.key, sample, index)
            for sample in run.samples(group[0].samples)
            for cell in group
            for index in range(cell.reused, cell.num_samples)
        ]
        size = run.plan.window
        result += [rows[i : i + size] for i in range(0, len(rows), size)]
    return result


def generate(run: Run, pool: EnginePool, attempt: int, progress: Progress) -> None:
    """Generate what is owed, all models in turn."""
    cells = {cell.key: cell for cell in run.plan.cells}
    cut = windows(run, list(cells.values()))
    present = {key for cell in cells for key in run.completions(cell)}
    owing = {key[0] for window in cut for key in window if key not in present}
    _require_fitted(run, [cells[key] for key in sorted(owing)])
    total = sum(len(window) for window in cut)
    progress.start("generate", total, sum(key in present for w in cut for key in w))
    for identity in dict.fromkeys(cell.model_identity for cell in cells.values()):
        mine = [w for w in cut if cells[w[0][0]].model_identity == identity]
        if all(key in present for window in mine for key in window):
            continue
        with Lease(run.dir, f"generate-{identity[:16]}") as lease, ExitStack() as files:
            present = {key for cell in cells for key in run.completions(cell)}
            writer = _Writer(run, attempt, files)
            prepared = _prepare(
                run, [c for c in cells.values() if c.model_identity == identity], pool
            )
            for window in mine:
                owed = {key for key in window if key not in present}
                if owed:
                    lease.check()
                    for row in _generate_window(prepared, window):
                        if row.key in owed:
                            writer.write(row)
                            progress.advance(1, row.num_tokens or row.num_prompt_tokens)
    progress.finish()


def _require_fitted(run: Run, cells: Iterable[Cell]) -> None:
    """Raise StoreError if what ``cells`` need is not fitted yet; nothing is loaded before."""
    needed = {key for cell in cells for key in (cell.artifact, cell.gate) if key is not None}
    missing = sum(not run.has_artifact(key) for key in needed)
    if missing:
        raise StoreError(
            f"{missing} of {len(needed)} artifacts that the owed rows need are not fitted.",
            hint=f"Run `trimtab fit {run.dir}` first, or `trimtab resume {run.dir}` for all.",
        )


@dataclass(frozen=True)
class _Prepared:
    """A cell ready to run."""

    cell: Cell
    engine: Engine
    task: Task[Any]
    intervention: Intervention[Any]
    edits: tuple[rq.Edit, ...]
    dynamic: rq.DynamicStrength | None
    samples: dict[str, Sample]
    partners: dict[str, str]


class _Writer:
    """Segment files of one attempt, one per cell, opened when first needed."""

    def __init__(self, run: Run, attempt: int, files: ExitStack) -> None:
        self._run, self._attempt, self._files = run, attempt, files
        self._open: dict[str, SegmentWriter] = {}

    def write(self, row: Completion) -> None:
        if row.cell not in self._open:
            segment = self._run.completion_writer(self._attempt, row.cell)
            self._open[row.cell] = self._files.enter_context(segment)
        stamp = {"attempt": self._attempt, "time": time.time()}
        self._open[row.cell].append([row.model_copy(update=stamp)])


def _prepare(run: Run, cells: Sequence[Cell], pool: EnginePool) -> dict[str, _Prepared]:
    prepared = {}
    fitted = {}
    for cell in cells:
        for key in (cell.artifact, cell.gate):
            if key is not None and key not in fitted:
                fitted[key] = artifacts.load(run.artifact_dir(key))
        intervention = INTERVENTIONS.build(cell.intervention.name, cell.intervention.config)
        artifact, condition = (fitted[key] if key else None for key in (cell.artifact, cell.gate))
        samples = run.samples(cell.samples)
        prepared[cell.key] = _Prepared(
            cell=cell,
            engine=pool.engine(cell.model, cell.model_identity),
            task=TASKS.build(cell.task.name, cell.task.config),
            intervention=intervention,
            edits=gated(intervention.edits(artifact), intervention.config, condition),
            dynamic=intervention.dynamic(artifact),
            samples=samples,
            partners=partners(list(samples), cell.seed) if intervention.swaps_prompts() else {},
        )
    return prepared


def _generate_window(
    prepared: dict[str, _Prepared], window: Sequence[RowKey]
) -> Iterator[Completion]:
    """Yield the rows of one window as they finish."""
    engine = prepared[window[0][0]].engine
    requests: dict[RowKey, rq.Request] = {}
    for key in window:
        row = prepared[key[0]]
        request = _request(row, row.samples[key[1]], key)
        problem = _too_long(engine, request)
        if problem:
            yield _failed(row, request, problem)
        else:
            requests[key] = request
    for result in engine.run(list(requests.values())):
        assert isinstance(result.key, tuple)
        yield _completion(prepared[result.key[0]], requests[result.key], result)


def _request(row: _Prepared, sample: Sample, key: RowKey) -> rq.Request:
    renderer = row.engine.renderer
    messages = row.intervention.prompt(sample.messages)
    want: rq.Text | rq.Options
    if row.cell.output == "text":
        assert row.cell.sampling is not None
        prompt = renderer.prompt(messages, row.task.rendering, sample.preamble)
        # the cell is left out: conditions share random numbers, so that strength 0 is the baseline
        # when texts are sampled too, and paired differences vary less
        seed = derive_seed(row.cell.seed, key[1], key[2])
        want = rq.Text(row.cell.sampling, seed, row.dynamic)
    else:
        prompt, answers = renderer.with_answers(
            messages, [c.text for c in sample.choices], row.task.rendering, sample.preamble
        )
        reference = tuple(i for i, c in enumerate(sample.choices) if c.reference)
        plain = renderer.prompt(sample.messages, row.task.rendering, sample.preamble)
        want = rq.Options(tuple(tuple(answer) for answer in answers), reference, tuple(plain))
    return rq.Request(key, tuple(prompt), want, _edits(row, sample))


def _edits(row: _Prepared, sample: Sample) -> tuple[rq.Edit, ...]:
    """Return the row's edits; those of a control that swaps prompts read the partner's."""
    if sample.id not in row.partners:
        return row.edits
    partner = row.samples[row.partners[sample.id]]
    messages = row.intervention.prompt(partner.messages)
    prompt = tuple(row.engine.renderer.prompt(messages, row.task.rendering, partner.preamble))
    return tuple(
        edit if edit.source is None else replace(edit, source=replace(edit.source, prompt=prompt))
        for edit in row.edits
    )


def _too_long(engine: Engine, request: rq.Request) -> str | None:
    limit = engine.max_positions
    if isinstance(request.want, rq.Text):
        new = request.want.sampling.max_tokens
    else:
        assert isinstance(request.want, rq.Options)
        new = max(len(option) for option in request.want.options)
    needed = len(request.prompt) + new
    if limit is None or needed <= limit:
        return None
    return f"needs {needed} positions, the model has {limit}"


def _failed(row: _Prepared, request: rq.Request, problem: str) -> Completion:
    return _base(row, request).model_copy(update={"finish_reason": "error", "error": problem})


def _base(row: _Prepared, request: rq.Request) -> Completion:
    assert isinstance(request.key, tuple)
    cell, sample, index = request.key
    return Completion(
        cell=cell,
        sample_id=sample,
        index=index,
        protocol=row.task.protocol,
        num_prompt_tokens=len(request.prompt),
        finish_reason="options",
    )


def _completion(row: _Prepared, request: rq.Request, result: rq.Result) -> Completion:
    assert not isinstance(result, rq.ActivationsResult)
    if isinstance(result, rq.TextResult):
        update: dict[str, Any] = {
            "text": result.text,
            "num_tokens": len(result.tokens),
            "logprob": result.logprob,
            "finish_reason": result.finish_reason,
            "strengths": result.strengths or None,
        }
    else:
        assert isinstance(result, rq.OptionsResult) and isinstance(request.want, rq.Options)
        update = {
            "option_logprobs": result.logprobs,
            "option_num_tokens": tuple(len(option) for option in request.want.options),
            "option_kl": result.kl,
        }
    return _base(row, request).model_copy(update={**update, "gates": result.gates or None})
