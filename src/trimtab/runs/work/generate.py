"""Generate one window: rows of many cells share one engine, and each is written as it finishes."""

from __future__ import annotations

import time
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from trimtab.core.keys import derive_seed
from trimtab.core.lazy import lazy
from trimtab.core.plan import Cell
from trimtab.core.presence import RowKey
from trimtab.core.types import Completion, Sample
from trimtab.interventions.base import INTERVENTIONS, Treatment
from trimtab.runs.store.run import Run
from trimtab.runs.work.engines import EnginePool
from trimtab.runs.work.resources import fitted_of
from trimtab.runs.work.units import WindowUnit
from trimtab.steering.partners import partners

if TYPE_CHECKING:
    from trimtab.engine import request as rq
    from trimtab.engine.engine import Engine
else:
    rq = lazy("trimtab.engine.request")


@dataclass(frozen=True)
class Prepared:
    """A cell ready to run.

    Attributes:
        cell: The cell.
        engine: Of its model.
        treatment: What is done to each row.
        samples: Its samples by id.
        partners: Whose prompt stands in for whose, where the treatment reads other prompts.
    """

    cell: Cell
    engine: Engine
    treatment: Treatment
    samples: Mapping[str, Sample]
    partners: Mapping[str, str]


def prepare(run: Run, cell: Cell, pool: EnginePool) -> Prepared:
    """Load what ``cell`` needs: its model and its fitted artifacts."""
    acting = INTERVENTIONS.build(cell.intervention.name, cell.intervention.config)
    treatment = acting.treat(fitted_of(run, cell.artifacts))
    samples = run.samples(cell.samples)
    swaps = any(edit.source is not None and edit.source.of_partner for edit in treatment.edits)
    return Prepared(
        cell=cell,
        engine=pool.engine(cell.model, cell.model_identity),
        treatment=treatment,
        samples=samples,
        partners=partners(list(samples), cell.seed) if swaps else {},
    )


def generate_window(
    prepared: Mapping[str, Prepared], unit: WindowUnit, missing: Container[RowKey]
) -> Iterator[Completion]:
    """Yield the rows of one window that are missing, as they finish.

    The others take part, so that a resumed run repeats the batches of an undisturbed one, but for
    those of which no row is missing.

    Raises:
        NonFiniteError: Activations or logits are NaN or infinite.
    """
    if not unit.rows:
        return
    engine = prepared[unit.rows[0][0]].engine
    requests: dict[RowKey, rq.Request] = {}
    for key in unit.rows:
        row = prepared[key[0]]
        request = replace(_request(row, row.samples[key[1]], key), owed=key in missing)
        problem = _too_long(engine, request)
        if problem is None:
            requests[key] = request
        elif request.owed:
            yield _failed(row, request, problem)
    for result in engine.run(list(requests.values())):
        assert isinstance(result.key, tuple)
        yield _completion(prepared[result.key[0]], requests[result.key], result)


def without_cells(unit: WindowUnit, cells: Container[str]) -> WindowUnit:
    """Return a window without the rows of some cells."""
    return replace(unit, rows=tuple(row for row in unit.rows if row[0] not in cells))


def broken_rows(prepared: Prepared, keys: Sequence[RowKey], problem: str) -> Iterator[Completion]:
    """Yield rows that say why they have no answer."""
    for cell, sample, index in keys:
        yield Completion(
            cell=cell,
            sample_id=sample,
            index=index,
            protocol=prepared.cell.protocol,
            num_prompt_tokens=0,
            finish_reason="error",
            error=problem,
        )


def stamped(row: Completion, attempt: int) -> Completion:
    """Return ``row`` with the attempt that made it, and the time."""
    return row.model_copy(update={"attempt": attempt, "time": time.time()})


def _request(row: Prepared, sample: Sample, key: RowKey) -> rq.Request:
    renderer = row.engine.renderer
    messages = row.treatment.prompt(sample.messages)
    rendering = row.cell.rendering
    want: rq.Text | rq.Options
    if row.cell.output == "text":
        assert row.cell.sampling is not None
        prompt = renderer.prompt(messages, rendering, sample.preamble)
        # the cell is left out: conditions share random numbers, so that strength 0 is the baseline
        # when texts are sampled too, and paired differences vary less
        seed = derive_seed(row.cell.seed, key[1], key[2])
        want = rq.Text(row.cell.sampling, seed, row.treatment.dynamic)
    else:
        prompt, answers = renderer.with_answers(
            messages, [c.text for c in sample.choices], rendering, sample.preamble
        )
        reference = tuple(i for i, c in enumerate(sample.choices) if c.reference)
        plain = renderer.prompt(sample.messages, rendering, sample.preamble)
        want = rq.Options(tuple(tuple(answer) for answer in answers), reference, tuple(plain))
    return rq.Request(key, tuple(prompt), want, _edits(row, sample), row.treatment.adapter)


def _edits(row: Prepared, sample: Sample) -> tuple[rq.Edit, ...]:
    """Return the row's edits; those that read a partner's prompt are given it."""
    if sample.id not in row.partners:
        return row.treatment.edits
    partner = row.samples[row.partners[sample.id]]
    messages = row.treatment.prompt(partner.messages)
    prompt = tuple(row.engine.renderer.prompt(messages, row.cell.rendering, partner.preamble))
    return tuple(
        replace(edit, source=replace(edit.source, prompt=prompt))
        if edit.source is not None and edit.source.of_partner
        else edit
        for edit in row.treatment.edits
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


def _failed(row: Prepared, request: rq.Request, problem: str) -> Completion:
    return _base(row, request).model_copy(update={"finish_reason": "error", "error": problem})


def _base(row: Prepared, request: rq.Request) -> Completion:
    assert isinstance(request.key, tuple)
    cell, sample, index = request.key
    return Completion(
        cell=cell,
        sample_id=sample,
        index=index,
        protocol=row.cell.protocol,
        num_prompt_tokens=len(request.prompt),
        finish_reason="options",
    )


def _completion(row: Prepared, request: rq.Request, result: rq.Result) -> Completion:
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
