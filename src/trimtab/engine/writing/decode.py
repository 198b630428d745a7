"""Write texts: rows of many cells step together; finished rows leave and waiting rows enter.

A prompt up to, but not including, its last token is computed once for all rows that agree on it
(see ``segments``); its last token is the first that each row computes on its own.

Shapes: B rows of the batch, H hidden.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from trimtab.core.types import FinishReason
from trimtab.engine.batching.scheduler import Limits, entering, leaving
from trimtab.engine.passes.batch import DecodeBatch
from trimtab.engine.passes.head import Head
from trimtab.engine.passes.nonfinite import locate
from trimtab.engine.request import Request, Text, TextResult
from trimtab.engine.writing.sampling import Sampler
from trimtab.models.load import LoadedModel


@dataclass
class Writing:
    """One row's text so far; ``index`` is its place in the list of requests."""

    index: int
    request: Request
    want: Text
    tokens: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    logprob: float = 0.0
    done: bool = False


def write(
    loaded: LoadedModel, head: Head, requests: Sequence[Request], limits: Limits
) -> Iterator[TextResult]:
    """Yield each request's text as it finishes; raise NonFiniteError naming layer and position.

    Args:
        loaded: The model.
        head: Its head.
        requests: In the order in which they shall start.
        limits: How many rows and tokens at a time.
    """
    waiting = queue_of(requests)
    wants = [row.want for row in waiting]
    sampler = Sampler(wants, head)
    rows: list[Writing] = [waiting.popleft() for _ in range(min(limits.rows, len(waiting)))]
    most = max(w.sampling.max_tokens for w in wants)
    batch = DecodeBatch(loaded, requests, len(rows), most, limits.tokens)
    batch.enter(list(range(len(rows))), [row.request for row in rows])
    last_B = torch.tensor([row.request.prompt[-1] for row in rows], device=loaded.device)
    while True:
        hidden_BH = batch.step(last_B)
        last_B, logprob_B = sampler.choose(
            hidden_BH, [row.index for row in rows], [len(row.tokens) for row in rows]
        )
        chosen = zip(rows, last_B.tolist(), logprob_B.tolist(), strict=True)
        for i, (row, token, logprob) in enumerate(chosen):
            if row.done:
                continue
            if not np.isfinite(logprob):
                raise located(loaded, row)
            result = extend(loaded, row, token, logprob)
            if result is not None:
                row.done = True
                batch.note(i, row.tokens)
                yield result
        free = [i for i, row in enumerate(rows) if row.done]
        if waiting and entering(len(free), len(rows)):
            free = free[: len(waiting)]
            for i in free:
                rows[i] = waiting.popleft()
            batch.enter(free, [rows[i].request for i in free])
            last_B[free] = torch.tensor([rows[i].request.prompt[-1] for i in free]).to(last_B)
        elif len(free) == len(rows):
            return
        elif not waiting and leaving(len(free), len(rows)):
            alive = [i for i, row in enumerate(rows) if not row.done]
            batch.keep(alive)
            rows = [rows[i] for i in alive]
            last_B = last_B[alive]


def queue_of(requests: Sequence[Request]) -> deque[Writing]:
    """Return a row for each request, all of which ask for a text."""
    wants = [r.want for r in requests if isinstance(r.want, Text)]
    return deque(Writing(i, r, w) for i, (r, w) in enumerate(zip(requests, wants, strict=True)))


def located(loaded: LoadedModel, row: Writing) -> Exception:
    """Return the error that says where values stopped being finite."""
    return locate(loaded, row.request, [*row.request.prompt, *row.tokens])


def extend(loaded: LoadedModel, row: Writing, token: int, logprob: float) -> TextResult | None:
    """Add a token; return the result if it ends the text."""
    row.tokens.append(token)
    row.logprobs.append(logprob)
    row.logprob += logprob
    params = row.want.sampling
    if token in loaded.eos_ids:
        return _finish(row, loaded.renderer.decode(row.tokens[:-1]), "eos")
    if params.stop:
        text = loaded.renderer.decode(row.tokens)
        cuts = [at for stop in params.stop if (at := text.find(stop)) >= 0]
        if cuts:
            return _finish(row, text[: min(cuts)], "stop")
    if len(row.tokens) >= params.max_tokens:
        return _finish(row, loaded.renderer.decode(row.tokens), "length")
    if row.want.watch is not None:
        row.want.watch(loaded.renderer.decode(row.tokens))
    return None


def _finish(row: Writing, text: str, reason: FinishReason) -> TextResult:
    return TextResult(
        key=row.request.key,
        text=text,
        tokens=tuple(row.tokens),
        logprob=row.logprob,
        logprobs=tuple(row.logprobs),
        finish_reason=reason,
    )
