"""A batch of rows on their way through the model: shared prefill, then tokens of their own.

The prompt up to, but not including, its last token is computed once for all rows that agree on its
tokens and on the edits that act there; the last prompt token is the first that each row computes on
its own. A prefix common to all prompts of the batch (a few-shot primer, a rubric) is computed once.

Shapes: B rows, P distinct prompts, Q tokens of this forward, H hidden.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch

from trimtab.engine.cache import KVCache
from trimtab.engine.edits import NO_EDITS, BatchEdits, prefix_signature, span
from trimtab.engine.request import Edit
from trimtab.models.load import LoadedModel

PaddingSide = Literal["left", "right"]
_MIN_COMMON_PREFIX = 16


@dataclass(frozen=True)
class Row:
    """One sequence: its prompt and its edits."""

    prompt: tuple[int, ...]
    edits: tuple[Edit, ...]


class RowBatch:
    """Rows that share forwards; making one runs the shared prefill, then call ``forward``."""

    def __init__(
        self,
        loaded: LoadedModel,
        rows: Sequence[Row],
        num_new: int,
        padding_side: PaddingSide = "left",
    ) -> None:
        """Prefill ``prompt[:-1]`` of every row, leaving room for ``num_new`` more tokens."""
        self.loaded = loaded
        self.rows = list(rows)
        self.padding_side = padding_side
        self.cache = self._prefill(num_new)
        self.next_B = torch.tensor([len(r.prompt) - 1 for r in rows], device=loaded.device)
        self._compile()

    def _compile(self) -> None:
        pairs = [(row.edits, len(row.prompt)) for row in self.rows]
        self.edits = BatchEdits(pairs, self.loaded.device, self.loaded.dtype)

    def keep(self, rows: list[int]) -> None:
        """Drop all rows but these (indices into the present rows)."""
        index = torch.tensor(rows, device=self.loaded.device)
        self.cache = self.cache.select(index)
        self.next_B = self.next_B[index]
        self.rows = [self.rows[i] for i in rows]
        self._compile()

    def forward(self, ids_BQ: torch.Tensor, valid_BQ: torch.Tensor) -> torch.Tensor:
        """Run the rows' next tokens; return final hidden states [B, Q, H].

        Valid tokens of a row are contiguous and take its next positions; the rest is padding.
        """
        offset_BQ = valid_BQ.long().cumsum(dim=1) - 1
        position_BQ = torch.where(valid_BQ, self.next_B[:, None] + offset_BQ, -1)
        hidden_BQH = run(self.loaded, self.cache, self.edits, ids_BQ, position_BQ)
        self.next_B = self.next_B + valid_BQ.sum(dim=1)
        return hidden_BQH

    def _prefill(self, num_new: int) -> KVCache:
        index_of: dict[Any, int] = {}
        owner: list[Row] = []
        group_of_row = []
        for row in self.rows:
            head = row.prompt[:-1]
            key = (head, prefix_signature(row.edits, len(row.prompt), len(head)))
            if key not in index_of:
                index_of[key] = len(owner)
                owner.append(row)
            group_of_row.append(index_of[key])
        device = self.loaded.device
        common = self._common_prefix(owner)
        longest = max(len(row.prompt) - 1 - common for row in owner)
        shared = len(owner) < len(self.rows)
        capacity = common + longest + (0 if shared else num_new)
        cache = KVCache(1 if common else len(owner), common or capacity, device)
        if common:
            first = torch.tensor([owner[0].prompt[:common]], device=device)
            positions = torch.arange(common, device=device)[None]
            run(self.loaded, cache, NO_EDITS, first, positions)
            every = torch.zeros(len(owner), dtype=torch.long, device=device)
            cache = cache.select(every, capacity)
        if longest:
            ids_PQ, position_PQ = self._pad([row.prompt[common:-1] for row in owner], common)
            edits = BatchEdits(
                [(row.edits, len(row.prompt)) for row in owner], device, self.loaded.dtype
            )
            run(self.loaded, cache, edits, ids_PQ, position_PQ)
        if not shared:
            return cache
        return cache.select(torch.tensor(group_of_row, device=device), cache.length + num_new)

    def _common_prefix(self, owner: list[Row]) -> int:
        """Tokens at the start of every prompt on which no edit acts; 0 if few or one prompt."""
        if len(owner) < 2 or not self.loaded.layout.allows_gaps:
            return 0
        first, last = min(r.prompt for r in owner), max(r.prompt for r in owner)
        limit = min(len(row.prompt) - 1 for row in owner)
        for row in owner:
            starts = [span(edit, len(row.prompt))[0] for edit in row.edits]
            limit = min([limit, *starts])
        common = 0
        while common < limit and first[common] == last[common]:
            common += 1
        return common if common >= _MIN_COMMON_PREFIX else 0

    def _pad(self, tails: list[tuple[int, ...]], start: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return ids and absolute positions [P, Q] of token lists that begin at ``start``."""
        width = max(len(tail) for tail in tails)
        ids = torch.zeros((len(tails), width), dtype=torch.long)
        positions = torch.full((len(tails), width), -1, dtype=torch.long)
        for i, tail in enumerate(tails):
            at = width - len(tail) if self.padding_side == "left" else 0
            ids[i, at : at + len(tail)] = torch.tensor(tail, dtype=torch.long)
            positions[i, at : at + len(tail)] = torch.arange(start, start + len(tail))
        return ids.to(self.loaded.device), positions.to(self.loaded.device)


def run(
    loaded: LoadedModel,
    cache: KVCache,
    edits: BatchEdits,
    ids_BQ: torch.Tensor,
    position_BQ: torch.Tensor,
) -> torch.Tensor:
    """Run tokens at absolute positions (-1 is padding) over ``cache``; return hidden [B, Q, H]."""
    layout = loaded.layout
    cache.begin(position_BQ)
    masks = {
        kind: cache.mask(
            position_BQ,
            layout.sliding_window if kind == "sliding_attention" else None,
            loaded.dtype,
        )
        for kind in layout.mask_types
    }
    mask: Any = masks if layout.mask_as_dict else next(iter(masks.values()))
    with edits.applied(layout.blocks, position_BQ):
        output = layout.text_model(
            input_ids=ids_BQ,
            attention_mask=mask,
            position_ids=position_BQ.clamp(min=0),
            past_key_values=cache,
            use_cache=True,
        )
    cache.commit()
    hidden: torch.Tensor = output.last_hidden_state
    return hidden


def logits(loaded: LoadedModel, hidden_NH: torch.Tensor) -> torch.Tensor:
    """Return float32 logits [N, vocabulary] of final hidden states."""
    # a slice of one position per row is not contiguous, and the head would copy it row by row
    return loaded.layout.logits(hidden_NH.contiguous()).float()
