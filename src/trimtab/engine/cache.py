"""Keys and values of a batch of rows, with the absolute position of every slot.

The cache is handed to the Hugging Face modules as ``past_key_values``; they only call ``update``.
Slots are shared by the whole batch: a forward over Q tokens fills the next Q slots of every row,
and ``position_BS`` says which absolute position a slot holds in each row (-1: padding, never
attended). Attention masks are built from these positions alone, so padding side, gaps and sharing
can't change what a token sees.

Shapes: B rows, S slots, Q new tokens, K key/value heads, D head dimension.
"""

from __future__ import annotations

import torch


class KVCache:
    """Preallocated keys and values; grows by writing into free slots, never by concatenation."""

    is_compileable = False

    def __init__(self, num_rows: int, capacity: int, device: torch.device) -> None:
        """Make an empty cache for ``num_rows`` rows and ``capacity`` slots."""
        self.capacity = capacity
        self.length = 0
        self.position_BS = torch.full((num_rows, capacity), -1, dtype=torch.long, device=device)
        self._keys: dict[int, torch.Tensor] = {}
        self._values: dict[int, torch.Tensor] = {}
        self._pending = 0

    @property
    def num_rows(self) -> int:
        """Rows of the batch."""
        return self.position_BS.shape[0]

    def begin(self, position_BQ: torch.Tensor) -> None:
        """Claim the next Q slots for tokens at ``position_BQ`` (-1 where padded)."""
        self._pending = position_BQ.shape[1]
        end = self.length + self._pending
        assert end <= self.capacity, f"{end} slots needed, {self.capacity} allocated"
        self.position_BS[:, self.length : end] = position_BQ

    def update(
        self, key: torch.Tensor, value: torch.Tensor, layer_idx: int, *_: object, **__: object
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Store ``key`` and ``value`` [B, K, Q, D] of one layer; return all up to the new slots."""
        if layer_idx not in self._keys:
            shape = (key.shape[0], key.shape[1], self.capacity, key.shape[3])
            # unset slots are never returned: every forward fills its slots in all rows
            self._keys[layer_idx] = key.new_empty(shape)
            self._values[layer_idx] = value.new_empty((*shape[:3], value.shape[3]))
        end = self.length + self._pending
        self._keys[layer_idx][:, :, self.length : end] = key
        self._values[layer_idx][:, :, self.length : end] = value
        return self._keys[layer_idx][:, :, :end], self._values[layer_idx][:, :, :end]

    def commit(self) -> None:
        """Count the claimed slots as filled."""
        self.length += self._pending
        self._pending = 0

    def select(self, rows: torch.Tensor, capacity: int | None = None) -> KVCache:
        """Return a new cache whose row i is a copy of row ``rows[i]``: expands, drops, reorders."""
        chosen = KVCache(len(rows), capacity or self.capacity, self.position_BS.device)
        chosen.length = self.length
        chosen.position_BS[:, : self.length] = self.position_BS[rows, : self.length]
        for source, target in ((self._keys, chosen._keys), (self._values, chosen._values)):
            for layer, tensor in source.items():
                _, heads, _, dim = tensor.shape
                target[layer] = tensor.new_empty((len(rows), heads, chosen.capacity, dim))
                target[layer][:, :, : self.length] = tensor[rows, :, : self.length]
        return chosen

    def mask(
        self, position_BQ: torch.Tensor, window: int | None, dtype: torch.dtype
    ) -> torch.Tensor:
        """Return the additive attention mask [B, 1, Q, S'] of the pending tokens.

        A token sees the slots of its own row at positions not after its own and, with ``window``,
        less than ``window`` before it. Padding tokens see their own slot only, which keeps their
        (unused) outputs finite.
        """
        end = self.length + self._pending
        slot_B1S = self.position_BS[:, None, :end]
        query_BQ1 = position_BQ[:, :, None]
        visible = (slot_B1S >= 0) & (slot_B1S <= query_BQ1)
        if window is not None:
            visible &= query_BQ1 - slot_B1S < window
        own = torch.arange(self.length, end, device=visible.device)
        visible[:, torch.arange(len(own), device=visible.device), own] = True
        mask = torch.zeros(visible.shape, dtype=dtype, device=visible.device)
        return mask.masked_fill_(~visible, torch.finfo(dtype).min)[:, None]

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Return the filled slots; part of what transformers asks of a cache."""
        del layer_idx
        return self.length

    def get_query_offset(self, layer_idx: int = 0) -> int:
        """Return the slot of the first new token; part of what transformers asks of a cache."""
        del layer_idx
        return self.length

    def get_mask_sizes(self, query_length: int, layer_idx: int = 0) -> tuple[int, int]:
        """Return (slots, offset); part of what transformers asks of a cache."""
        del layer_idx
        return self.length + query_length, 0
