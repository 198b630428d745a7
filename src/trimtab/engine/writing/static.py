"""Rows that write together in fixed shapes: a step is the same operations on the same memory.

So a step can be recorded once and replayed (``graphs``), without Python and without waiting: what
differs from step to step and from row to row (tokens, positions, which keys are whose, what edits
add, uniform numbers) is in tensors that stay where they are and are filled in place. A step reads
them, chooses tokens, and counts on; a row that is at its end stands still.

Prompts are computed by ``DecodeBatch`` and edits applied by ``forward``, as everywhere. A step is
recorded anew for every rung of lengths: of what rows wrote, and of prompts.

Shapes: B rows, K key/value heads, D head dimension, H hidden, E tokens that end a text.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch

from trimtab.engine.acts.adapters import Additions, StackedAdapters
from trimtab.engine.acts.edits import Deltas
from trimtab.engine.batching.scheduler import rung
from trimtab.engine.passes.attention import Attention, KeyValue
from trimtab.engine.passes.batch import DecodeBatch
from trimtab.engine.passes.cache import PrefixCache, widest
from trimtab.engine.passes.forward import forward
from trimtab.engine.passes.joint import Shared, attend_jointly, hide_unseen, sees_own
from trimtab.engine.request import Place, Request, Text
from trimtab.engine.writing.choosing import Chooser
from trimtab.engine.writing.graphs import Runner
from trimtab.models.load import LoadedModel
from trimtab.models.lowrank import Adapter

_SHORTEST = 64
"""The first rung of what rows wrote."""


@dataclass(eq=False)
class _Registers:
    """What a step reads and writes, per row.

    Attributes:
        last_B: The token that goes in next.
        step_B: How many tokens the row has written.
        first_B: Absolute position of the token that chose the first.
        most_B: How many it may write.
        ended_B: It stands still.
        chosen_B2: The token that was chosen, and its log-probability; both float64.
    """

    last_B: torch.Tensor
    step_B: torch.Tensor
    first_B: torch.Tensor
    most_B: torch.Tensor
    ended_B: torch.Tensor
    chosen_B2: torch.Tensor

    @classmethod
    def of(cls, num_rows: int, device: torch.device) -> _Registers:
        """Return those of rows that stand still."""
        last, step, first, most = (
            torch.zeros(num_rows, dtype=torch.long, device=device) for _ in range(4)
        )
        ended = torch.ones(num_rows, dtype=torch.bool, device=device)
        chosen = torch.zeros((num_rows, 2), dtype=torch.float64, device=device)
        return cls(last, step, first, most, ended, chosen)

    def __getitem__(self, rows: torch.Tensor) -> _Registers:
        return _Registers(*(getattr(self, field.name)[rows] for field in fields(self)))


class StaticBatch(DecodeBatch):
    """A ``DecodeBatch`` whose steps have fixed shapes, on one device."""

    def __init__(
        self,
        loaded: LoadedModel,
        requests: Sequence[Request],
        num_rows: int,
        most_tokens: int,
        chooser: Chooser,
        runner: Runner,
    ) -> None:
        """Make room for ``num_rows`` rows; see ``DecodeBatch``."""
        most_new = max(r.want.sampling.max_tokens for r in requests if isinstance(r.want, Text))
        super().__init__(loaded, requests, num_rows, most_new, most_tokens, roomy=True)
        self._chooser, self._runner = chooser, runner
        self._capacity = rung(most_new, _SHORTEST)
        self._registers = _Registers.of(num_rows, loaded.device)
        self._eos_E = torch.tensor(sorted(loaded.eos_ids), dtype=torch.long, device=loaded.device)
        self._written: list[KeyValue | None] = [None] * loaded.layout.num_layers
        width = {(e.layer, e.site): len(e.vector) for r in requests for e in r.edits}
        self._added: Deltas = {
            place: (None, torch.zeros(num_rows, w, dtype=loaded.dtype, device=loaded.device))
            for place, w in width.items()
        }
        self._added_from: dict[Place, object] = {}
        self._stacked = StackedAdapters(loaded.layout, [r.adapter for r in requests], num_rows)
        self._tables: dict[Hashable, Shared] = {}
        self._reads: list[list[tuple[Shared, KeyValue]]] = []
        self._layout_key: Hashable = None

    def begin(
        self, rows: Sequence[int], requests: Sequence[Request], indices: Sequence[int]
    ) -> None:
        """Give ``rows`` new requests, of these ``indices`` in the chooser's list."""
        self.enter(rows, requests)
        self._chooser.enter(rows, indices)
        most = [r.want.sampling.max_tokens for r in requests if isinstance(r.want, Text)]
        registers = self._registers
        device = registers.last_B.device
        index_R = torch.tensor(list(rows), device=device)
        for register, values in (
            (registers.last_B, [r.prompt[-1] for r in requests]),
            (registers.first_B, [len(r.prompt) - 1 for r in requests]),
            (registers.most_B, most),
            (registers.step_B, [0] * len(rows)),
        ):
            register[index_R] = torch.tensor(values, device=device)
        registers.ended_B[index_R] = False

    def keep(self, rows: Sequence[int]) -> None:
        """Drop all rows but these."""
        self._runner.forget()
        index = torch.tensor(list(rows), device=self._registers.last_B.device)
        self._registers = self._registers[index]
        self._chooser.keep(index)
        pairs = self._written
        self._written = [None if p is None else (p[0][index], p[1][index]) for p in pairs]
        self._added = {place: (None, x[index]) for place, (_, x) in self._added.items()}
        self._added_from.clear()
        self._tables.clear()
        super().keep(rows)

    def _written_by(self, row: int, layer: int, count: int) -> KeyValue:
        pair = self._written[layer]
        assert pair is not None
        return pair[0][row, :, :count], pair[1][row, :, :count]

    def launch(self, writing: Sequence[int]) -> torch.Tensor:
        """Run every row's next token; return what was chosen [B, 2], valid until the next launch.

        ``writing`` are the rows whose texts are known not to be done.
        """
        reach = int(self._own.step_B[list(writing)].max()) + 1
        num_own = min(rung(reach, _SHORTEST), self._capacity)
        self._fill_added()
        self._runner.run((self._layout_key, num_own), lambda: self._compute(num_own))
        self._own.advance()
        return self._registers.chosen_B2

    def _compile(self) -> None:
        """Write down which rows read which slots, where a recorded step looks for it."""
        super()._compile()
        num_layers = self._loaded.layout.num_layers
        shared = [list(self._shared(layer)) for layer in range(num_layers)]
        found: dict[bytes, Shared] = {}
        self._reads, key = [], []
        for layer, caches in enumerate(shared):
            self._reads.append([])
            for name, cache, row_B in caches:
                pair = cache.storage(layer)
                what = name + cache.signature(layer, row_B) + str(pair[0].shape[:2]).encode()
                if what not in found:
                    found[what] = self._table(len(found), cache, layer, row_B, pair)
                self._reads[-1].append((found[what], pair))
                number = list(found).index(what)
                key.append((layer, number, found[what].shape, *map(_where, pair)))
        self._layout_key = tuple(key)

    def _table(
        self, number: int, cache: PrefixCache, layer: int, row_B: np.ndarray, pair: KeyValue
    ) -> Shared:
        """Return the table of this number and of the right size, filled."""
        slot_B = cache.slot_LB[layer, row_B]
        num_slots, num_heads = pair[0].shape[:2]
        shape = (num_slots, rung(widest(slot_B)))
        key = (number, num_heads, shape)
        if key not in self._tables:
            device = pair[0].device
            self._tables[key] = Shared.empty(len(row_B), num_heads, shape, device)
        self._tables[key].fill(slot_B, *cache.extent(layer, row_B))
        return self._tables[key]

    def _fill_added(self) -> None:
        """Bring what edits add up to date, if it is not what it was at the last step."""
        position_B = self._own.position_B
        found = self._edits.deltas(self._row_B, np.ones_like(position_B), position_B)
        for place, (_, added_BH) in self._added.items():
            now = found.get(place)
            if now is self._added_from.get(place):
                continue
            self._added_from[place] = now
            if now is None or now[0] is not None:
                added_BH.zero_()
            if now is not None:
                added_BH[slice(None) if now[0] is None else now[0]] = now[1]

    def _added_by(self, adapters: Sequence[Adapter | None]) -> Additions:
        """Write down which adapter each row has, where a recorded step looks for it."""
        self._stacked.fill(adapters)
        return {}

    def _compute(self, num_own: int) -> None:
        """Run a step on the registers: what is recorded."""
        now = self._registers
        position_B = now.first_B + now.step_B
        attention = self._attention(position_B, num_own)
        additions = self._stacked.additions()
        hidden_BH = forward(
            self._loaded, now.last_B, position_B, attention, self._added, additions=additions
        )
        token_B, logprob_B = self._chooser.choose(hidden_BH, now.step_B)
        now.chosen_B2[:, 0], now.chosen_B2[:, 1] = token_B, logprob_B
        at_end_B = (token_B[:, None] == self._eos_E).any(dim=1) | (now.step_B + 1 >= now.most_B)
        now.ended_B.logical_or_(at_end_B)
        now.last_B.copy_(torch.where(now.ended_B, now.last_B, token_B))
        now.step_B.add_(~now.ended_B)

    def _attention(self, position_B: torch.Tensor, num_own: int) -> Attention:
        """Return the attention of this step; every kind of mask is made once."""
        step_B = self._registers.step_B
        row_B = torch.arange(len(step_B), device=step_B.device)
        masks: dict[Hashable, torch.Tensor] = {}

        def attention(
            layer: int,
            q_BKRD: torch.Tensor,
            key_BKD: torch.Tensor,
            value_BKD: torch.Tensor,
            scale: float,
            softcap: float | None,
        ) -> torch.Tensor:
            key, value = self._room(layer, key_BKD, value_BKD)
            key[row_B, :, step_B], value[row_B, :, step_B] = key_BKD, value_BKD
            own = key[:, :, :num_own], value[:, :, :num_own]
            shared, window = self._reads[layer], self._loaded.layout.window_of(layer)
            kind = (window, *((id(table), pair[0].shape[2]) for table, pair in shared))
            if kind not in masks:
                visible = [t.sees(position_B, pair[0].shape[2], window) for t, pair in shared]
                masks[kind] = hide_unseen([*visible, sees_own(step_B, num_own, window)])
            return attend_jointly(q_BKRD * scale, shared, own, masks[kind], softcap)

        return attention

    def _room(self, layer: int, key_BKD: torch.Tensor, value_BKD: torch.Tensor) -> KeyValue:
        """Return the storage of what rows wrote, [B, K, capacity, D], made at the first step."""
        pair = self._written[layer]
        if pair is None:
            rows, heads, _ = key_BKD.shape
            shape = (rows, heads, self._capacity)
            # zeros: what was never written must stay finite under its mask
            key = key_BKD.new_zeros((*shape, key_BKD.shape[2]))
            pair = (key, value_BKD.new_zeros((*shape, value_BKD.shape[2])))
            self._written[layer] = pair
        return pair


def _where(tensor: torch.Tensor) -> Hashable:
    """Return what a recorded step knows of a tensor's memory."""
    return tensor.data_ptr(), tuple(tensor.shape)
