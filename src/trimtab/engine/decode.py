"""Write texts for a batch of rows, one token per step, each row with its own edits and stream."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch

from trimtab.core.types import FinishReason
from trimtab.engine.nonfinite import locate
from trimtab.engine.request import Request, Text, TextResult
from trimtab.engine.rows import PaddingSide, Row, RowBatch, logits
from trimtab.engine.sampling import Sampler
from trimtab.models.load import LoadedModel

_COMPACT_WHEN_DONE = 0.25


@dataclass
class _Writing:
    """One row's text so far; ``index`` is its place in the list of requests."""

    index: int
    request: Request
    want: Text
    tokens: list[int] = field(default_factory=list)
    logprob: float = 0.0
    done: TextResult | None = None


def write(
    loaded: LoadedModel, requests: Sequence[Request], padding_side: PaddingSide
) -> Iterator[TextResult]:
    """Yield each request's text as it finishes; raise NonFiniteError naming layer and position."""
    wants = [r.want for r in requests if isinstance(r.want, Text)]
    assert len(wants) == len(requests)
    sampler = Sampler(wants)
    states = [_Writing(i, r, w) for i, (r, w) in enumerate(zip(requests, wants, strict=True))]
    most = max(w.sampling.max_tokens for w in wants)
    batch = RowBatch(loaded, [Row(r.prompt, r.edits) for r in requests], most, padding_side)
    last_B = torch.tensor([r.prompt[-1] for r in requests], device=loaded.device)
    for step in range(most):
        hidden_BQH = batch.forward(
            last_B[:, None], torch.ones_like(last_B, dtype=torch.bool)[:, None]
        )
        logits_BV = logits(loaded, hidden_BQH[:, -1])
        last_B = sampler.choose(logits_BV, [s.index for s in states], step)
        total_B = logits_BV.logsumexp(dim=-1)
        logprob_B = logits_BV.gather(1, last_B[:, None])[:, 0] - total_B
        _check(loaded, states, total_B)
        for state, token, logprob in zip(states, last_B.tolist(), logprob_B.tolist(), strict=True):
            if state.done is None and (result := _extend(loaded, state, token, logprob)):
                state.done = result
                yield result
        alive = [i for i, s in enumerate(states) if s.done is None]
        if not alive:
            return
        if len(alive) <= (1 - _COMPACT_WHEN_DONE) * len(states):
            batch.keep(alive)
            states = [states[i] for i in alive]
            last_B = last_B[torch.tensor(alive, device=loaded.device)]


def _check(loaded: LoadedModel, states: Sequence[_Writing], total_B: torch.Tensor) -> None:
    """Raise NonFiniteError for the first unfinished row whose logits are not finite."""
    for index in (~torch.isfinite(total_B)).nonzero()[:, 0].tolist():
        state = states[index]
        if state.done is None:
            request = state.request
            tokens = [*request.prompt, *state.tokens]
            raise locate(loaded, request.key, tokens, len(request.prompt), request.edits)


def _extend(loaded: LoadedModel, state: _Writing, token: int, logprob: float) -> TextResult | None:
    """Add a token; return the result if it ends the text."""
    state.tokens.append(token)
    state.logprob += logprob
    params = state.want.sampling
    if token in loaded.eos_ids:
        return _finish(state, loaded.renderer.decode(state.tokens[:-1]), "eos")
    if params.stop:
        text = loaded.renderer.decode(state.tokens)
        cuts = [at for stop in params.stop if (at := text.find(stop)) >= 0]
        if cuts:
            return _finish(state, text[: min(cuts)], "stop")
    if len(state.tokens) >= params.max_tokens:
        return _finish(state, loaded.renderer.decode(state.tokens), "length")
    return None


def _finish(state: _Writing, text: str, reason: FinishReason) -> TextResult:
    return TextResult(
        key=state.request.key,
        text=text,
        tokens=tuple(state.tokens),
        logprob=state.logprob,
        finish_reason=reason,
    )
