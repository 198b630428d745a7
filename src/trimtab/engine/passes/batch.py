"""Rows that write together: their shared pasts, what they wrote so far, and their edits.

Shapes: B rows, H hidden.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from trimtab.engine.acts.adapters import AdapterTable, Additions
from trimtab.engine.acts.edits import Deltas, EditTable
from trimtab.engine.batching.segments import Segment, chunks
from trimtab.engine.conversations import Turn
from trimtab.engine.passes.attention import KeyValue, Part, Seen, by_parts
from trimtab.engine.passes.cache import PrefixCache, SuffixCache
from trimtab.engine.passes.continued import Continued, conversations_of
from trimtab.engine.passes.forward import forward
from trimtab.engine.passes.leads import Leads
from trimtab.engine.passes.passes import Pass, Store
from trimtab.engine.passes.primer import Primer
from trimtab.engine.request import Request
from trimtab.models.load import LoadedModel
from trimtab.models.lowrank import Adapter

_SHORT = 64
"""A common start up to this long is copied into every prompt: reading it apart would cost more."""

_NO_EDIT: tuple[tuple[()], int] = ((), 1)


class DecodeBatch:
    """A fixed number of rows, each of which may be given a new request when its text is done."""

    def __init__(
        self,
        loaded: LoadedModel,
        requests: Sequence[Request],
        num_rows: int,
        most_new: int,
        most_tokens: int,
        roomy: bool = False,
    ) -> None:
        """Make room for ``num_rows`` rows.

        Args:
            loaded: The model.
            requests: All that will ever enter: what their prompts have in common is computed now.
            num_rows: Rows of the batch.
            most_new: Most tokens that a row writes.
            most_tokens: Prompt tokens computed at a time.
            roomy: Let the storage of prompts grow by rungs.
        """
        self._loaded = loaded
        self._most_tokens = most_tokens
        num_layers = loaded.layout.num_layers
        self._continued = Continued(loaded, requests, num_rows, roomy)
        anew = self._continued.cache is None
        # where rows go on from turns, what prompts have in common was computed with those
        self._primer = Primer(loaded, requests, most_tokens, length=None if anew else 0)
        self._leads = Leads(loaded, requests if anew else [], self._primer, most_tokens)
        self._inherit = 0 < self._primer.length <= _SHORT and self._leads.cache is None
        self._prompts = PrefixCache(num_layers, num_rows, loaded.layout.devices, roomy)
        self._own = SuffixCache(num_layers, num_rows, most_new, loaded.dtype)
        self._requests: list[Request | None] = [None] * num_rows
        self._parts: dict[tuple[bytes, int | None, torch.device], Part] = {}
        self._pasts: dict[int, Seen] = {}

    def enter(self, rows: Sequence[int], requests: Sequence[Request]) -> None:
        """Give ``rows`` new requests and compute their prompts up to the last token."""
        self._forget_views()
        for row, request in zip(rows, requests, strict=True):
            self._requests[row] = request
        entering = set(rows)
        kept = [i for i, r in enumerate(self._requests) if r is not None and i not in entering]
        begun = self._continued.enter(rows, requests, kept)
        stops = [max(n, self._leads.stop(r)) for n, r in zip(begun, requests, strict=True)]
        segments = [
            Segment(r.prompt[stop:-1], stop, len(r.prompt), r.edits, r.adapter)
            for r, stop in zip(requests, stops, strict=True)
        ]
        for some in chunks(segments, self._most_tokens):
            mine = [rows[i] for i in some]
            pasts = self._primer.pasts([requests[i].adapter for i in some])
            lead = pasts[0] if self._inherit else None
            store = Store(self._prompts, mine, kept, lead)
            pasts += self._leads.pasts([requests[i] for i in some]) + self._continued.pasts(mine)
            passed = () if self._inherit else pasts
            Pass(self._loaded, [segments[i] for i in some], passed, store).run()
            kept += mine
        self._own.restart(rows, [len(r.prompt) - 1 for r in requests])
        self._compile()

    def keep(self, rows: Sequence[int]) -> None:
        """Drop all rows but these."""
        self._forget_views()
        self._requests = [self._requests[i] for i in rows]
        self._prompts.select(rows)
        if self._continued.cache is not None:
            self._continued.cache.select(rows)
        self._own.select(rows)
        self._compile()

    def note(self, row: int, tokens: Sequence[int]) -> None:
        """Keep the turn of a row that just wrote its last token, if later ones may go on from it.

        ``tokens`` are those that it wrote.
        """
        request = self._requests[row]
        assert request is not None
        conversations = conversations_of(self._loaded, request)
        if conversations is None:
            return
        pairs = []
        for layer in range(self._loaded.layout.num_layers):
            seen = [cache.of_row(layer, row_B[row]) for _, cache, row_B in self._shared(layer)]
            seen.append(self._written_by(row, layer, len(tokens)))
            key_KSD, value_KSD = (torch.cat(some, dim=1) for some in zip(*seen, strict=True))
            pairs.append((key_KSD, value_KSD))
        turn = Turn((*request.prompt, *tokens[:-1]), tuple(pairs))
        conversations.keep(request.adapter, turn)

    def _written_by(self, row: int, layer: int, count: int) -> KeyValue:
        """Return the keys and values [K, S, D] of a row's first ``count`` own tokens."""
        return self._own.of_row(layer, row, count)

    def step(self, ids_B: torch.Tensor, more: Deltas | None = None) -> torch.Tensor:
        """Run every row's next token; return final hidden states [B, H].

        ``more`` is added to the rows' own edits: places must not be theirs.
        """
        position_B = self._own.position_B
        if self._loaded.num_positions is not None:
            # a row that has ended stays in the batch for a while, and goes on counting
            position_B = np.minimum(position_B, self._loaded.num_positions - 1)
        ones = np.ones_like(position_B)
        deltas = self._edits.deltas(np.arange(len(ones)), ones, position_B)
        hidden_BH = forward(
            self._loaded,
            ids_B,
            torch.from_numpy(position_B),
            by_parts(self._seen),
            deltas | (more or {}),
            additions=self._additions,
            length_T=torch.from_numpy(position_B + 1),
        )
        self._own.advance()
        for key in [key for key in self._parts if key[1] is not None or key[0] == b"own"]:
            del self._parts[key]
        for layer in [at for at in self._pasts if self._loaded.layout.window_of(at) is not None]:
            del self._pasts[layer]
        return hidden_BH

    def _forget_views(self) -> None:
        """Let go of stored keys and values, which would stay beside those that replace them."""
        self._parts.clear()
        self._pasts.clear()

    def _compile(self) -> None:
        """Gather what changes only when rows enter or leave."""
        self._forget_views()
        pairs = [_NO_EDIT if r is None else (r.edits, len(r.prompt)) for r in self._requests]
        self._edits = EditTable(pairs, self._loaded.layout.devices, self._loaded.dtype)
        self._row_B = np.arange(len(self._requests))
        adapters = [None if r is None else r.adapter for r in self._requests]
        self._primer_row_B = np.array(self._primer.rows(adapters))
        if self._leads.cache is not None:
            self._lead_row_B = np.array(self._leads.rows(self._requests))
        self._additions = self._added_by(adapters)

    def _added_by(self, adapters: Sequence[Adapter | None]) -> Additions:
        """Return what the rows' adapters add at every step until rows change."""
        if all(adapter is None for adapter in adapters):
            return {}
        table = AdapterTable(self._loaded.layout, adapters)
        return table.additions(np.ones_like(self._row_B), range(self._loaded.layout.num_layers))

    def _seen(self, layer: int, key_BKD: torch.Tensor, value_BKD: torch.Tensor) -> Seen:
        window = self._loaded.layout.window_of(layer)
        device = self._loaded.layout.devices[layer]
        own = self._own.append(layer, key_BKD, value_BKD)
        if (b"own", window, device) not in self._parts:
            self._parts[b"own", window, device] = self._own.part(window, device)
        if layer not in self._pasts:
            self._pasts[layer] = self._past(layer, window, device)
        return [(self._parts[b"own", window, device], own), *self._pasts[layer]]

    def _past(self, layer: int, window: int | None, device: torch.device) -> Seen:
        """Return what rows see before their own; the same until rows change or a window moves."""
        seen: Seen = []
        for name, cache, row_B in self._shared(layer):
            key = (name + cache.signature(layer, row_B), window, device)
            if key not in self._parts:
                position_B = self._own.position_B
                self._parts[key] = cache.part(layer, row_B, position_B, window)
            seen.append((self._parts[key], [cache.view(layer)]))
        return seen

    def _shared(self, layer: int) -> Iterator[tuple[bytes, PrefixCache, np.ndarray]]:
        """Yield the caches with something before the rows' own tokens, and each row's row there."""
        primer = None if self._inherit else self._primer.cache
        if primer is not None and not primer.is_empty(layer):
            yield b"primer", primer, self._primer_row_B
        leads = self._leads.cache
        if leads is not None and not leads.is_empty(layer):
            yield b"leads", leads, self._lead_row_B
        continued = self._continued.cache
        if continued is not None and not continued.is_empty(layer):
            yield b"continued", continued, self._row_B
        if not self._prompts.is_empty(layer):
            yield b"prompts", self._prompts, self._row_B
