"""Compute segments of many rows at once: prompts, answers, options, in one packed forward.

Shapes: R rows, T packed tokens, C classes of equal segments, M tokens of the longest, K key/value
heads, D head dimension, S keys, H hidden.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from trimtab.engine.acts.adapters import AdapterTable, Additions
from trimtab.engine.acts.edits import Deltas, EditTable
from trimtab.engine.batching.segments import Segment, Stage, stages
from trimtab.engine.passes.attention import KeyValue, Part, Seen, by_parts
from trimtab.engine.passes.cache import PrefixCache, group, hide
from trimtab.engine.passes.forward import forward
from trimtab.engine.passes.inner import Reader
from trimtab.engine.request import Place
from trimtab.models.load import LoadedModel


@dataclass(frozen=True)
class Past:
    """What comes before some segments.

    Attributes:
        cache: Keys and values.
        rows: The row of the cache for each segment.
    """

    cache: PrefixCache
    rows: Sequence[int]

    def slots(self, layer: int) -> list[int]:
        """Return the slot of each segment's past."""
        found: list[int] = self.cache.slot_LB[layer, list(self.rows)].tolist()
        return found


@dataclass(frozen=True)
class Store:
    """Where the keys and values of the segments are kept.

    Attributes:
        cache: The cache.
        rows: The row of the cache for each segment.
        kept: Rows of the cache whose keys and values must stay.
        heritage: What comes before the segments, which they see and which is kept in front of each;
            equally long for all.
    """

    cache: PrefixCache
    rows: Sequence[int]
    kept: Sequence[int] = ()
    heritage: Past | None = None


@dataclass(frozen=True, eq=False)
class Computed:
    """The final hidden states of some segments.

    Attributes:
        hidden_TH: One line per token that was computed.
        first_R: Line of each segment's first token; equal segments share lines.
    """

    hidden_TH: torch.Tensor
    first_R: list[int]


class Pass:
    """Segments, one per row, on top of what comes before them."""

    def __init__(
        self,
        loaded: LoadedModel,
        segments: Sequence[Segment],
        pasts: Sequence[Past] = (),
        store: Store | None = None,
    ) -> None:
        """Plan the pass; ``pasts`` from the first to the last, whose slots tell rows apart most."""
        self.loaded = loaded
        self.segments = segments
        self._pasts = pasts
        self._store = store
        num_layers = loaded.layout.num_layers
        found = stages(segments, self._below(num_layers))
        if not loaded.layout.may_expand:
            found = [Stage(0, found[-1].owners, found[-1].class_of)]
        self._plans = [_StagePlan(loaded, stage, segments) for stage in found]
        self._stage_of_layer = np.searchsorted(
            [stage.first_layer for stage in found], np.arange(num_layers), side="right"
        )
        self._memo: dict[tuple[int, int, bytes, int | None, torch.device], Part] = {}

    def _below(self, num_layers: int) -> list[list[int]]:
        """Return for each block the slots of the segments' pasts."""
        found = [[0] * len(self.segments)]
        for layer in range(num_layers):
            known = self._pasts and self._pasts[-1].cache.is_known(layer)
            found.append(self._pasts[-1].slots(layer) if known else found[-1])
        return found[1:]

    @property
    def last(self) -> _StagePlan:
        """The tokens that leave the last block."""
        return self._plans[-1]

    def run(
        self, readers: Mapping[Place, Reader] | None = None, *, recompute: bool = False
    ) -> Computed:
        """Compute the segments; return their final hidden states.

        ``recompute`` keeps for a backward pass only what enters each block; no store may be filled.
        """
        assert not (recompute and self._store), "blocks that are computed twice would store twice"
        if not self.last.position_T.size:
            return self._without_tokens()
        expand = {
            plan.stage.first_layer: self._expansion(before, plan)
            for before, plan in zip(self._plans, self._plans[1:], strict=False)
        }
        first = self._plans[0]
        ids_T = [t for row in first.stage.owners for t in self.segments[row].tokens]
        hidden_TH = forward(
            self.loaded,
            torch.tensor(ids_T),
            torch.from_numpy(first.position_T),
            by_parts(self._parts),
            self._deltas(),
            expand,
            readers,
            self._additions(),
            recompute=recompute,
        )
        return Computed(hidden_TH, self.last.first_C[list(self.last.stage.class_of)].tolist())

    def _without_tokens(self) -> Computed:
        """Note in the store that there is nothing: no row has a token."""
        for layer in range(self.loaded.layout.num_layers if self._store else 0):
            plan = self._plans[int(self._stage_of_layer[layer]) - 1]
            slot_C, lead = self._claim(layer, plan), self._lead(layer, plan)
            if lead is not None and self._store is not None:
                self._store.cache.write(layer, slot_C, *lead)
        empty = torch.empty((0, self.loaded.layout.hidden_size), device=self.loaded.device)
        return Computed(empty, [0] * len(self.segments))

    def plan_at(self, place: Place) -> _StagePlan:
        """Return the tokens at a place: what leaves its block, or goes through its attention."""
        at = [plan.stage.first_layer for plan in self._plans]
        first = place[0] + (place[1] == "residual")
        return self._plans[int(np.searchsorted(at, first, side="right")) - 1]

    def _expansion(self, before: _StagePlan, after: _StagePlan) -> torch.Tensor:
        """Return which tokens of one stage are the tokens of the next."""
        parents = [before.stage.class_of[owner] for owner in after.stage.owners]
        index = [
            np.arange(first, first + length)
            for first, length in zip(before.first_C[parents], after.length_C, strict=True)
        ]
        device = self.loaded.layout.devices[after.stage.first_layer - 1]
        return torch.from_numpy(np.concatenate(index)).to(device)

    def _deltas(self) -> Deltas:
        """Return the edits, by the tokens of the stage in which each of them acts."""
        found: Deltas = {}
        for i, plan in enumerate(self._plans):
            low = plan.stage.first_layer
            high = self._plans[i + 1].stage.first_layer if i + 1 < len(self._plans) else None
            for place, delta in plan.deltas.items():
                first = place[0] + (place[1] == "residual")
                if low <= first and (high is None or first < high):
                    found[place] = delta
        return found

    def _additions(self) -> Additions:
        """Return what adapters add, by the tokens of the stage of each block."""
        found: Additions = {}
        if all(segment.adapter is None for segment in self.segments):
            return found
        ends = [plan.stage.first_layer for plan in self._plans[1:]]
        ends.append(self.loaded.layout.num_layers)
        for plan, end in zip(self._plans, ends, strict=True):
            adapters = [self.segments[row].adapter for row in plan.stage.owners]
            table = AdapterTable(self.loaded.layout, adapters)
            found |= table.additions(plan.length_C, range(plan.stage.first_layer, end))
        return found

    def _lead(self, layer: int, plan: _StagePlan) -> KeyValue | None:
        """Return what is kept in front of each class of segments, [C, K, S, D] each."""
        heritage = self._store.heritage if self._store else None
        if heritage is None:
            return None
        key, value = heritage.cache.view(layer)
        if len(key) == 1:
            shape = (len(plan.stage.owners), -1, -1, -1)
            return key.expand(shape), value.expand(shape)
        slots = heritage.slots(layer)
        slot_C = torch.tensor([slots[row] for row in plan.stage.owners], device=key.device)
        return key[slot_C], value[slot_C]

    def _parts(self, layer: int, key_TKD: torch.Tensor, value_TKD: torch.Tensor) -> Seen:
        index = int(self._stage_of_layer[layer]) - 1
        plan = self._plans[index]
        window = self.loaded.layout.window_of(layer)
        device = self.loaded.layout.devices[layer]
        lead = self._lead(layer, plan)
        own = plan.own(window, device, 0 if lead is None else lead[0].shape[2])
        key_CKSD, value_CKSD = own.gather(key_TKD), own.gather(value_TKD)
        key_CKSD, value_CKSD = key_CKSD.transpose(1, 2), value_CKSD.transpose(1, 2)
        if lead is not None:
            key_CKSD = torch.cat([lead[0], key_CKSD], dim=2)
            value_CKSD = torch.cat([lead[1], value_CKSD], dim=2)
        if self._store is not None:
            self._store.cache.write(layer, self._claim(layer, plan), key_CKSD, value_CKSD)
        seen: Seen = [(own, [(key_CKSD, value_CKSD)])]
        for number, past in enumerate(self._pasts):
            if past.cache.is_empty(layer):
                continue
            row_T = np.array(past.rows)[plan.row_T]
            memo = (index, number, past.cache.signature(layer, row_T), window, device)
            if memo not in self._memo:
                self._memo[memo] = past.cache.part(layer, row_T, plan.position_T, window)
            seen.append((self._memo[memo], [past.cache.view(layer)]))
        return seen

    def _claim(self, layer: int, plan: _StagePlan) -> torch.Tensor:
        store = self._store
        assert store is not None
        length_C, start_C = plan.length_C, plan.start_C
        if store.heritage is not None:
            length_C, start_C = length_C + start_C, np.zeros_like(start_C)
        return store.cache.claim(layer, plan.stage, store.rows, store.kept, length_C, start_C)


class _StagePlan:
    """The packed tokens of one stage."""

    def __init__(self, loaded: LoadedModel, stage: Stage, segments: Sequence[Segment]) -> None:
        self.stage = stage
        owners = [segments[row] for row in stage.owners]
        self.length_C = np.array([len(segment.tokens) for segment in owners])
        self.first_C = np.cumsum(self.length_C) - self.length_C
        self.start_C = np.array([segment.start for segment in owners])
        offset_T = np.arange(self.length_C.sum()) - np.repeat(self.first_C, self.length_C)
        self.position_T = np.repeat(self.start_C, self.length_C) + offset_T
        self.row_T = np.repeat(np.array(stage.owners), self.length_C)
        self._class_T = np.repeat(np.arange(len(owners)), self.length_C)
        self._own: dict[tuple[int | None, torch.device, int], Part] = {}
        pairs = [(s.edits, s.num_prompt) for s in owners]
        table = EditTable(pairs, loaded.layout.devices, loaded.dtype)
        self.deltas = table.deltas(self.first_C, self.length_C, self.start_C)

    def own(self, window: int | None, device: torch.device, lead: int) -> Part:
        """Return how tokens see ``lead`` ones before all segments, and those of their own."""
        if (window, device, lead) not in self._own:
            self._own[window, device, lead] = self._causal(window, device, lead)
        return self._own[window, device, lead]

    def _causal(self, window: int | None, device: torch.device, lead: int) -> Part:
        rect = group(self._class_T, len(self.stage.owners), device)
        num_tokens = rect.shape[1]
        age_MS = lead + np.subtract.outer(np.arange(num_tokens), np.arange(lead + num_tokens))
        visible_MS = age_MS >= 0 if window is None else (age_MS >= 0) & (age_MS < window)
        mask = torch.from_numpy(hide(visible_MS)[None, None]).to(device)
        return Part(rect.token_GM, rect.place_T, rect.shape, mask, lead)
