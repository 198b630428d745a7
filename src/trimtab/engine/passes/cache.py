"""Keys and values: what rows share, in slots of a shared cache, and what each row wrote itself.

Both are preallocated and written in place. Absolute positions of keys follow from where a slot or a
row begins, so masks are needed only where lengths differ or a sliding window ends.

Shapes: C slots, B rows, G groups of at most M tokens, T packed tokens, S keys, K key/value heads,
D head dimension.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from trimtab.engine.batching.allocator import new_zeros
from trimtab.engine.batching.scheduler import rung
from trimtab.engine.batching.segments import Stage
from trimtab.engine.passes.attention import HIDDEN, KeyValue, Part

_ROOM = 32
"""Tokens by which a roomy storage of prompts grows at least."""

_PAGE = {torch.bfloat16: (32, 32)}
_USUAL_PAGE = (96, 8)
"""Tokens of a page, and of its parts: only parts that some row has reached are read.

What makes products over few keys the fastest in each format: oneDNN's, in bfloat16, copy keys that
are a part of a page.
"""


def group(slot_T: np.ndarray, num_slots: int, device: torch.device) -> Part:
    """Return the rectangle that puts the tokens of each slot side by side."""
    token_GM, place_T = rectangle(slot_T, num_slots)
    full = token_GM.size == len(slot_T)
    if full and (place_T == np.arange(len(place_T))).all():
        return Part(None, None, token_GM.shape)
    return Part(
        torch.from_numpy(token_GM).to(device), torch.from_numpy(place_T).to(device), token_GM.shape
    )


def widest(slot_T: np.ndarray) -> int:
    """Return how many tokens share a slot at most."""
    return int(np.bincount(slot_T).max())


def rectangle(
    slot_T: np.ndarray, num_slots: int, width: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the tokens of each slot side by side, and each token's place among them, flattened.

    Places without a token hold token 0; ``width`` is as wide as need be if it is not given.
    """
    width = width or widest(slot_T)
    counts = np.bincount(slot_T, minlength=num_slots)
    order = np.argsort(slot_T, kind="stable")
    rank = np.arange(len(order)) - (np.cumsum(counts) - counts)[slot_T[order]]
    place_T = np.empty(len(order), dtype=np.int64)
    place_T[order] = slot_T[order] * width + rank
    token_GM = np.zeros((num_slots, width), dtype=np.int64)
    token_GM.reshape(-1)[place_T] = np.arange(len(order))
    return token_GM, place_T


class PrefixCache:
    """What comes before the rows' own tokens; rows with the same past have the same slot."""

    def __init__(
        self,
        num_layers: int,
        num_rows: int,
        devices: Sequence[torch.device],
        roomy: bool = False,
    ) -> None:
        """Make an empty cache for ``num_rows`` rows; ``devices`` are those of the blocks.

        A ``roomy`` one grows by rungs, so that its storage is seldom replaced.
        """
        self._devices = devices
        self._most_slots = num_rows if roomy else None
        self.slot_LB = np.zeros((num_layers, num_rows), dtype=np.int64)
        # per block: length and start of every slot
        self._tables = [(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64))] * num_layers
        self._pairs: list[KeyValue | None] = [None] * num_layers

    def claim(
        self,
        layer: int,
        stage: Stage,
        rows: Sequence[int],
        kept: Sequence[int],
        length_C: np.ndarray,
        start_C: np.ndarray,
    ) -> torch.Tensor:
        """Give each class of ``stage`` a slot that none of the ``kept`` rows uses.

        Args:
            layer: Block.
            stage: Classes of ``rows``.
            rows: The rows that get a new past.
            kept: The rows whose past must stay.
            length_C: Tokens of each class.
            start_C: Absolute position of their first.

        Returns:
            The slot of each class [C].
        """
        taken = set(self.slot_LB[layer, list(kept)].tolist())
        slots: list[int] = []
        candidate = 0
        for _ in stage.owners:
            while candidate in taken:
                candidate += 1
            slots.append(candidate)
            candidate += 1
        for row, which in zip(rows, stage.class_of, strict=True):
            self.slot_LB[layer, row] = slots[which]
        lengths, starts = (
            np.pad(table, (0, max(0, max(slots) + 1 - len(table)))) for table in self._tables[layer]
        )
        # what nobody uses any more must not be read
        lengths[[slot for slot in range(len(lengths)) if slot not in taken]] = 0
        lengths[slots], starts[slots] = length_C, start_C
        self._tables[layer] = (lengths, starts)
        return torch.tensor(slots, device=self._devices[layer])

    def write(
        self, layer: int, slot_C: torch.Tensor, key_CKSD: torch.Tensor, value_CKSD: torch.Tensor
    ) -> None:
        """Store keys and values in their slots."""
        num_slots, length = len(self._tables[layer][0]), key_CKSD.shape[2]
        key, value = self._grown(layer, num_slots, length, key_CKSD, value_CKSD)
        key[slot_C, :, :length] = key_CKSD.detach()
        value[slot_C, :, :length] = value_CKSD.detach()

    def _grown(
        self,
        layer: int,
        num_slots: int,
        length: int,
        like_key: torch.Tensor,
        like_value: torch.Tensor,
    ) -> KeyValue:
        """Return the storage of a block, with room for ``num_slots`` x ``length``."""
        old = self._pairs[layer]
        if old is not None and old[0].shape[0] >= num_slots and old[0].shape[2] >= length:
            return old
        if old is not None:
            num_slots, length = max(num_slots, old[0].shape[0]), max(length, old[0].shape[2])
        if self._most_slots is not None:
            num_slots, length = min(rung(num_slots), self._most_slots), rung(length, _ROOM)
        heads = like_key.shape[1]
        # zeros: a slot that was never written must stay finite under its mask
        key = new_zeros(like_key, (num_slots, heads, length, like_key.shape[3]))
        value = new_zeros(like_value, (num_slots, heads, length, like_value.shape[3]))
        if old is not None:
            key[: old[0].shape[0], :, : old[0].shape[2]] = old[0]
            value[: old[1].shape[0], :, : old[1].shape[2]] = old[1]
        self._pairs[layer] = (key, value)
        return key, value

    def is_known(self, layer: int) -> bool:
        """Whether a block was reached: reading activations stops below the last."""
        return bool(len(self._tables[layer][0]))

    def signature(self, layer: int, row_T: np.ndarray) -> bytes:
        """Return what ``part`` depends on beside positions: blocks that agree share parts."""
        lengths, starts = self._tables[layer]
        arrays = (self.slot_LB[layer, row_T], lengths, starts)
        return b"|".join(array.tobytes() for array in arrays)

    def is_empty(self, layer: int) -> bool:
        """Whether no slot of a block holds a token."""
        return not self._tables[layer][0].any()

    def view(self, layer: int) -> KeyValue:
        """Return the keys and values of all slots, as long as the longest."""
        num_slots, length = len(self._tables[layer][0]), int(self._tables[layer][0].max())
        key, value = self.storage(layer)
        return key[:num_slots, :, :length], value[:num_slots, :, :length]

    def storage(self, layer: int) -> KeyValue:
        """Return the keys and values of all slots with the room that was made for them."""
        pair = self._pairs[layer]
        assert pair is not None
        num_slots, length = len(self._tables[layer][0]), int(self._tables[layer][0].max())
        # slots of rows without any token were claimed and never written
        return self._grown(layer, num_slots, length, *pair)

    def extent(self, layer: int, row_T: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return how many tokens the past of each row has, and the position of its first."""
        length_C, start_C = self._tables[layer]
        slot_T = self.slot_LB[layer, row_T]
        return length_C[slot_T], start_C[slot_T]

    def of_row(self, layer: int, row: int) -> KeyValue:
        """Return the keys and values [K, S, D] of the past of one row."""
        slot = int(self.slot_LB[layer, row])
        key, value = self.storage(layer)
        length = int(self._tables[layer][0][slot])
        return key[slot, :, :length], value[slot, :, :length]

    def part(
        self, layer: int, row_T: np.ndarray, position_T: np.ndarray, window: int | None
    ) -> Part:
        """Return how tokens of ``row_T`` at ``position_T`` see their rows' pasts."""
        slot_T, length_C, start_C = self.slot_LB[layer, row_T], *self._tables[layer]
        device = self._devices[layer]
        part = group(slot_T, len(length_C), device)
        key_S = np.arange(int(length_C.max()))
        mask = None
        if (length_C[slot_T] < len(key_S)).any():
            mask = hide(key_S < length_C[:, None])[:, None, None]
        if window is not None and (position_T - start_C[slot_T]).max() >= window:
            token_GM = np.arange(len(row_T))[None] if part.token_GM is None else part.token_GM.cpu()
            age_GMS = position_T[np.asarray(token_GM).reshape(part.shape)][:, :, None] - (
                start_C[:, None, None] + key_S
            )
            mask = hide(age_GMS < window)[:, None] + (0.0 if mask is None else mask)
        return part if mask is None else replace(part, mask=torch.from_numpy(mask).to(device))

    def select(self, rows: Sequence[int]) -> None:
        """Drop all rows but these and the slots that nobody uses any more."""
        self.slot_LB = self.slot_LB[:, list(rows)]
        for layer, pair in enumerate(self._pairs):
            used, inverse = np.unique(self.slot_LB[layer], return_inverse=True)
            self.slot_LB[layer] = inverse.reshape(-1)
            length_C, start_C = self._tables[layer]
            self._tables[layer] = (length_C[used], start_C[used])
            if pair is not None and len(used) < len(pair[0]):
                index = torch.from_numpy(used).to(self._devices[layer])
                length = int(length_C[used].max())
                self._pairs[layer] = (pair[0][index, :, :length], pair[1][index, :, :length])


class SuffixCache:
    """What each row wrote itself, one token per step, each row at its own pace.

    Keys and values lie in pages of some tokens for all rows: pages that no row has reached are not
    read. Values lie as [B, K, D, tokens], the order that products with them read fastest.
    """

    def __init__(self, num_layers: int, num_rows: int, capacity: int, dtype: torch.dtype) -> None:
        """Make an empty cache of ``capacity`` tokens for ``num_rows`` rows."""
        self._capacity = capacity
        page, self._part = _PAGE.get(dtype, _USUAL_PAGE)
        self._page = min(page, self._whole_parts(capacity))
        self.step_B = np.zeros(num_rows, dtype=np.int64)
        self.first_B = np.zeros(num_rows, dtype=np.int64)
        self._pages: list[list[KeyValue]] = [[] for _ in range(num_layers)]
        self._plan()

    def _plan(self) -> None:
        """Work out what is the same for every block until the next step."""
        longest = int(self.step_B.max(initial=0))
        self._num_pages = longest // self._page + 1
        self._num_keys = self._whole_parts(longest + 1)
        page_B, at_B = np.divmod(self.step_B, self._page)
        self._same_place = bool((self.step_B == longest).all())
        self._writes = [
            (int(page), torch.from_numpy(rows), torch.from_numpy(at_B[rows]))
            for page in ([] if self._same_place else np.unique(page_B))
            for rows in [np.flatnonzero(page_B == page)]
        ]

    @property
    def position_B(self) -> np.ndarray:
        """Absolute position of each row's next token."""
        return self.first_B + self.step_B

    def _whole_parts(self, num_tokens: int) -> int:
        return -(-num_tokens // self._part) * self._part

    def restart(self, rows: Sequence[int], first: Sequence[int]) -> None:
        """Forget what ``rows`` wrote; their next tokens are at the positions ``first``."""
        self.step_B[list(rows)] = 0
        self.first_B[list(rows)] = first
        self._plan()

    def advance(self) -> None:
        """Count one token more for every row; a row that is full writes over its last one."""
        self.step_B = np.minimum(self.step_B + 1, self._capacity - 1)
        self._plan()

    def append(self, layer: int, key_BKD: torch.Tensor, value_BKD: torch.Tensor) -> list[KeyValue]:
        """Store every row's next key and value; return pages up to the longest row's last."""
        pages = self._pages[layer]
        while len(pages) < self._num_pages:
            key = new_zeros(key_BKD, (*key_BKD.shape[:2], self._page, key_BKD.shape[2]))
            pages.append((key, new_zeros(value_BKD, (*value_BKD.shape, self._page))))
        if self._same_place:
            page, at = divmod(int(self.step_B[0]), self._page)
            key, value = pages[page]
            key[:, :, at], value[..., at] = key_BKD, value_BKD
        for page, row_N, at_N in self._writes:
            key, value = pages[page]
            row_N, at_N = row_N.to(key.device), at_N.to(key.device)
            key[row_N, :, at_N], value[row_N, :, :, at_N] = key_BKD[row_N], value_BKD[row_N]
        read = [(key, value.transpose(2, 3)) for key, value in pages[: self._num_pages]]
        last = self._num_keys - (self._num_pages - 1) * self._page
        key, value = read.pop()
        return [*read, (key[:, :, :last], value[:, :, :last])]

    def part(self, window: int | None, device: torch.device) -> Part:
        """Return how the rows' next tokens see their own, for blocks on ``device``."""
        num_rows = len(self.step_B)
        age_BS = self.step_B[:, None] - np.arange(self._num_keys)
        visible_BS = age_BS >= 0 if window is None else (age_BS >= 0) & (age_BS < window)
        if visible_BS.all():
            return Part(None, None, (num_rows, 1))
        mask = torch.from_numpy(hide(visible_BS)[:, None, None]).to(device)
        return Part(None, None, (num_rows, 1), mask)

    def of_row(self, layer: int, row: int, count: int) -> KeyValue:
        """Return the keys and values [K, S, D] of the first ``count`` tokens of one row."""
        pages = self._pages[layer][: -(-count // self._page)]
        key_KSD = torch.cat([key[row] for key, _ in pages], dim=1)
        value_KDS = torch.cat([value[row] for _, value in pages], dim=2)
        return key_KSD[:, :count], value_KDS[:, :, :count].transpose(1, 2)

    def select(self, rows: Sequence[int]) -> None:
        """Drop all rows but these."""
        index = torch.tensor(list(rows))
        self.step_B, self.first_B = self.step_B[list(rows)], self.first_B[list(rows)]
        for layer, pages in enumerate(self._pages):
            self._pages[layer] = [(key[index], value[index]) for key, value in pages]
        self._plan()


def hide(visible: np.ndarray) -> np.ndarray:
    """Return what is added to scores: 0 where visible."""
    return np.where(visible, 0.0, HIDDEN).astype(np.float32)
