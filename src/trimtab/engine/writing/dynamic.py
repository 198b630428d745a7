"""Write texts under Dynamic Activation Composition: each token's strength from what it would do.

Exact, batched and cached. Each row has twins that never lose their footing: one unsteered, one per
property at full probe strength, both fed the tokens that the row chose. Per step the twins run
first, their distributions give the strengths, then the row runs with them. What earlier steps left
in the caches stays right, because earlier strengths don't change: 2 + P cached forwards of one
token per step for P properties, where the released code runs whole sequences.

Shapes: B rows, P properties, V vocabulary, W width of a place.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch

from trimtab.core.errors import ConfigError
from trimtab.engine.acts.edits import Deltas, check
from trimtab.engine.batching.scheduler import Limits
from trimtab.engine.passes.batch import DecodeBatch
from trimtab.engine.passes.head import Head
from trimtab.engine.passes.nonfinite import locate_dynamic
from trimtab.engine.request import DynamicStrength, Edit, Place, Request, Site, Text, TextResult
from trimtab.engine.writing.decode import Writing, extend
from trimtab.engine.writing.sampling import Sampler
from trimtab.models.load import LoadedModel

_FEW = 256
"""Likeliest tokens that are looked at first: to sort a vocabulary takes longer than a step."""


def write_dynamic(
    loaded: LoadedModel, head: Head, requests: Sequence[Request], limits: Limits
) -> Iterator[TextResult]:
    """Yield each request's text; the requests are in the order in which they shall start."""
    groups: dict[int, list[Request]] = {}
    for request in requests:
        assert isinstance(request.want, Text) and request.want.dynamic is not None
        groups.setdefault(id(request.want.dynamic), []).append(request)
    for group in groups.values():
        dynamic = group[0].want.dynamic  # type: ignore[union-attr]
        assert dynamic is not None
        size = max(1, limits.rows // (2 + len(dynamic.properties)))
        for at in range(0, len(group), size):
            batch = _DynamicBatch(loaded, head, dynamic, group[at : at + size], limits)
            yield from batch.write()


def check_dynamic(requests: Sequence[Request], num_layers: int, width: dict[Site, int]) -> None:
    """Raise ConfigError for a dynamic strength that does not fit the model, or beside edits."""
    checked: set[int] = set()
    for request in requests:
        want = request.want
        if not isinstance(want, Text) or want.dynamic is None:
            continue
        if request.edits:
            raise ConfigError(f"Request {request.key!r} has both edits and a dynamic strength.")
        if id(want.dynamic) in checked:
            continue
        checked.add(id(want.dynamic))
        names, count = want.dynamic.names, len(want.dynamic.properties)
        if len(names) not in (0, count):
            raise ConfigError(f"A dynamic strength of {count} properties has the names {names}.")
        for of_property in want.dynamic.properties:
            for (layer, site), values in of_property.items():
                check([Edit(layer, step, 1.0, site=site) for step in values], num_layers, width)


class _DynamicBatch:
    """A batch of rows with one dynamic strength, and their twins."""

    def __init__(
        self,
        loaded: LoadedModel,
        head: Head,
        dynamic: DynamicStrength,
        requests: Sequence[Request],
        limits: Limits,
    ) -> None:
        self._loaded, self._head, self._dynamic = loaded, head, dynamic
        wants = [r.want for r in requests if isinstance(r.want, Text)]
        self._rows = [
            Writing(i, r, w) for i, (r, w) in enumerate(zip(requests, wants, strict=True))
        ]
        self._sampler = Sampler(wants, head)
        self._most = max(want.sampling.max_tokens for want in wants)
        self._times = 1 + len(dynamic.properties)
        self._twins = self._batch(list(requests) * self._times, limits)
        self._real = self._batch(list(requests), limits)
        self._strengths: list[torch.Tensor] = []

    def _batch(self, requests: list[Request], limits: Limits) -> DecodeBatch:
        batch = DecodeBatch(self._loaded, requests, len(requests), self._most, limits.tokens)
        batch.enter(list(range(len(requests))), requests)
        return batch

    def write(self) -> Iterator[TextResult]:
        """Write all rows to their ends."""
        ids = [row.request.prompt[-1] for row in self._rows]
        last_B = torch.tensor(ids, device=self._loaded.device)
        for step in range(self._most):
            hidden = self._twins.step(last_B.repeat(self._times), self._probes(step))
            strength_PB = self._choose_strengths(self._head.logits(hidden))
            self._require_finite(strength_PB)
            self._strengths.append(strength_PB)
            hidden_BH = self._real.step(last_B, self._added(step, strength_PB))
            steps = [len(row.tokens) for row in self._rows]
            last_B, logprob_B = self._sampler.choose(hidden_BH, range(len(self._rows)), steps)
            pairs = zip(self._rows, last_B.tolist(), logprob_B.tolist(), strict=True)
            for row, token, logprob in pairs:
                if row.done:
                    continue
                if not torch.isfinite(torch.tensor(logprob)):
                    raise self._located(row)
                result = extend(self._loaded, row, token, logprob)
                if result is not None:
                    row.done = True
                    yield replace(result, strengths=self._of(row, len(row.tokens)))
            if all(row.done for row in self._rows):
                return

    def _require_finite(self, strength_PB: torch.Tensor) -> None:
        """Raise the error of the first unfinished row whose twins are not finite."""
        finite_B = torch.isfinite(strength_PB).all(dim=0).tolist()
        for row, finite in zip(self._rows, finite_B, strict=True):
            if not (row.done or finite):
                raise self._located(row)

    def _located(self, row: Writing) -> Exception:
        return locate_dynamic(
            self._loaded,
            row.request,
            [*row.request.prompt, *row.tokens],
            self._dynamic,
            self._of(row, len(self._strengths)),
        )

    def _of(self, row: Writing, steps: int) -> tuple[tuple[float, ...], ...]:
        """Return the strengths of the row's first steps."""
        used = [strength_PB[:, row.index].tolist() for strength_PB in self._strengths[:steps]]
        return tuple(zip(*used, strict=True)) or ((),) * (self._times - 1)

    def _at(self, place: Place, values: torch.Tensor, step: int) -> torch.Tensor | None:
        """Return what a property adds at a place and a step, [W]; None if nothing."""
        if self._dynamic.constant:
            step = 0
        if step >= len(values):
            return None
        return values[step].to(self._loaded.layout.devices[place[0]], self._loaded.dtype)

    def _probes(self, step: int) -> Deltas:
        """Return each property at full strength for its twins."""
        found: Deltas = {}
        num_rows = len(self._rows)
        entries: dict[Place, list[tuple[torch.Tensor, torch.Tensor]]] = {}
        for number, of_property in enumerate(self._dynamic.properties, start=1):
            for place, values in of_property.items():
                delta_W = self._at(place, values, step)
                if delta_W is not None:
                    index = torch.arange(number * num_rows, (number + 1) * num_rows)
                    rows = (self._dynamic.probe * delta_W).expand(num_rows, -1)
                    entries.setdefault(place, []).append((index, rows))
        for place, pairs in entries.items():
            delta_NW = torch.cat([pair[1] for pair in pairs])
            index_N = torch.cat([pair[0] for pair in pairs]).to(delta_NW.device)
            found[place] = (index_N, delta_NW)
        return found

    def _added(self, step: int, strength_PB: torch.Tensor) -> Deltas:
        """Return the properties at the strengths chosen, summed."""
        found: Deltas = {}
        for of_property, strength_B in zip(self._dynamic.properties, strength_PB, strict=True):
            for place, values in of_property.items():
                delta_W = self._at(place, values, step)
                if delta_W is not None:
                    delta_BW = strength_B[:, None].to(delta_W) * delta_W
                    before = found.get(place)
                    found[place] = (None, delta_BW if before is None else before[1] + delta_BW)
        return found

    def _choose_strengths(self, logits: torch.Tensor) -> torch.Tensor:
        """Return each property's strength for each row, [P, B]."""
        p_BV, *others = logits.unflatten(0, (self._times, -1)).log_softmax(dim=-1)
        strengths = [strength(p_BV, q_BV, self._dynamic) for q_BV in others]
        return torch.stack(strengths)


def strength(p_BV: torch.Tensor, q_BV: torch.Tensor, dynamic: DynamicStrength) -> torch.Tensor:
    """Return the strength [B] from log-probabilities without and with a property.

    A single token in Q gives 0: where nothing is open there is nothing to steer. NaN in either
    distribution gives NaN.
    """
    undefined_B = p_BV[:, 0].isnan() | q_BV[:, 0].isnan()  # a softmax is NaN at once or nowhere
    kept_BV = _likeliest(p_BV, dynamic) | _likeliest(q_BV, dynamic)
    # finite, so that 0 * (what is left out) is 0
    p_BV, q_BV = (x.masked_fill(~kept_BV, -1e30).log_softmax(dim=-1) for x in (p_BV, q_BV))
    if dynamic.reverse:
        p_BV, q_BV = q_BV, p_BV
    terms_BV = (p_BV.exp() * (p_BV - q_BV)).masked_fill(~kept_BV, 0.0)
    divergence_B = terms_BV.sum(dim=-1)
    if dynamic.per_token:
        divergence_B = divergence_B / kept_BV.sum(dim=-1).clamp(min=1)
    chosen: torch.Tensor = divergence_B.clamp(0.0, dynamic.most)
    return chosen.masked_fill(undefined_B, torch.nan)


def _likeliest(logp_BV: torch.Tensor, dynamic: DynamicStrength) -> torch.Tensor:
    """Return which tokens make up the mass ``top_p``, the likeliest first."""
    few = min(_FEW, logp_BV.shape[1])
    sorted_BK, token_BK = logp_BV.topk(few, dim=-1)
    if bool((sorted_BK.exp().sum(dim=-1) <= dynamic.top_p).any()):
        sorted_BK, token_BK = logp_BV.sort(dim=-1, descending=True, stable=True)
    upto_BK = sorted_BK.exp().cumsum(dim=-1)
    if dynamic.inclusive:
        # a token stays if those before it do not reach the mass yet
        stays_BK = upto_BK - sorted_BK.exp() < dynamic.top_p
    else:
        stays_BK = upto_BK <= dynamic.top_p
    none_BV = torch.zeros_like(logp_BV, dtype=torch.bool)
    return none_BV.scatter(1, token_BK, stays_BK)
