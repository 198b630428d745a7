"""Attention of one token per row in fixed shapes: all of a row's keys under one softmax.

The same sums as ``attention.by_parts`` in fewer and larger operations, none of which needs a number
that only the device knows: what a graph of recorded operations asks for, and what a GPU is fast at.
A shared past is still read once for all rows of its group; its scores are then sorted by row, so
that each row's softmax runs over its past and its own tokens at once.

Shapes: B rows, G groups of at most M rows each, S keys, K key/value heads, R query heads per
key/value head, D head dimension.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from trimtab.engine.passes.attention import HIDDEN, KeyValue
from trimtab.engine.passes.cache import rectangle


@dataclass(frozen=True, eq=False)
class Shared:
    """Which rows read which slot, in tensors that stay where they are and are filled anew.

    Attributes:
        shape: (G, M).
        pick_N: For each slot, head and place in its group the (row, head) there, [G * K * M].
        place_N: For each (row, head) where it stands among those, [B * K].
        length_B: How many keys each row has in its slot.
        start_B: Absolute position of their first.
    """

    shape: tuple[int, int]
    pick_N: torch.Tensor
    place_N: torch.Tensor
    length_B: torch.Tensor
    start_B: torch.Tensor

    @classmethod
    def empty(
        cls, num_rows: int, num_heads: int, shape: tuple[int, int], device: torch.device
    ) -> Shared:
        """Return tensors of the right size; ``num_heads`` is K."""

        def zeros(size: int) -> torch.Tensor:
            return torch.zeros(size, dtype=torch.long, device=device)

        num_picks = shape[0] * shape[1] * num_heads
        return cls(
            shape, zeros(num_picks), zeros(num_rows * num_heads), zeros(num_rows), zeros(num_rows)
        )

    def fill(self, slot_B: np.ndarray, length_B: np.ndarray, start_B: np.ndarray) -> None:
        """Write down each row's slot, and the extent of its past."""
        num_heads = len(self.place_N) // len(slot_B)
        head_K = np.arange(num_heads)
        row_GM, place_B = rectangle(slot_B, *self.shape)
        group_B, rank_B = np.divmod(place_B, self.shape[1])
        pick_GKM = row_GM[:, None, :] * num_heads + head_K[:, None]
        place_BK = (group_B[:, None] * num_heads + head_K) * self.shape[1] + rank_B[:, None]
        for tensor, values in (
            (self.pick_N, pick_GKM),
            (self.place_N, place_BK),
            (self.length_B, length_B),
            (self.start_B, start_B),
        ):
            tensor.copy_(torch.from_numpy(np.ascontiguousarray(values).reshape(-1)))

    def sees(self, position_B: torch.Tensor, num_keys: int, window: int | None) -> torch.Tensor:
        """Return which keys of its slot each row's token sees, [B, S]."""
        key_S = torch.arange(num_keys, device=position_B.device)
        visible_BS = key_S < self.length_B[:, None]
        if window is not None:
            age_BS = (position_B - self.start_B)[:, None] - key_S
            visible_BS = visible_BS & (age_BS < window)
        return visible_BS


def sees_own(step_B: torch.Tensor, num_keys: int, window: int | None) -> torch.Tensor:
    """Return which keys of its own each row's token sees, [B, S]; ``step_B`` is its place there."""
    age_BS = step_B[:, None] - torch.arange(num_keys, device=step_B.device)
    return age_BS >= 0 if window is None else (age_BS >= 0) & (age_BS < window)


def hide_unseen(visible: Sequence[torch.Tensor]) -> torch.Tensor:
    """Return what is added to scores [B, 1, S], given what is visible in one part after another."""
    hidden_BS = ~torch.cat(list(visible), dim=1)
    # `where` would bring the number to the device by a copy, which no graph can record
    mask_BS = torch.zeros(hidden_BS.shape, device=hidden_BS.device)
    return mask_BS.masked_fill_(hidden_BS, HIDDEN)[:, None]


def attend_jointly(
    q_BKRD: torch.Tensor,
    shared: Sequence[tuple[Shared, KeyValue]],
    own: KeyValue,
    mask_B1S: torch.Tensor,
    softcap: float | None,
) -> torch.Tensor:
    """Return each row's output [B, K, R, D].

    Args:
        q_BKRD: Scaled queries.
        shared: Pasts that rows share: keys and values are [G, K, S, D].
        own: Each row's own keys and values, [B, K, S, D].
        mask_B1S: Added to scores, over the keys of all pasts in order, then the own ones.
        softcap: c of c * tanh(score / c).
    """
    num_queries = q_BKRD.shape[2]
    q_NRD = q_BKRD.reshape(-1, *q_BKRD.shape[2:])
    scores = [_scores(q_NRD, table, key) for table, (key, _) in shared]
    scores.append(torch.bmm(q_NRD, own[0].flatten(0, 1).transpose(1, 2)))
    all_NRS = torch.cat(scores, dim=2)
    if softcap is not None:
        all_NRS = softcap * torch.tanh(all_NRS.to(mask_B1S.dtype) / softcap)
    # the sum is in the mask's number format, float32
    p_BQS = (all_NRS.view(len(q_BKRD), -1, all_NRS.shape[2]) + mask_B1S).softmax(dim=2)
    p_NRS = p_BQS.to(q_BKRD.dtype).view(-1, num_queries, p_BQS.shape[2])
    weights = p_NRS.split([part.shape[2] for part in scores], dim=2)
    out_NRD = torch.bmm(weights[-1], own[1].flatten(0, 1))
    for weight_NRS, (table, (_, value)) in zip(weights, shared, strict=False):
        out_NRD = out_NRD + _weighted(weight_NRS, table, value)
    return out_NRD.view_as(q_BKRD)


def _scores(q_NRD: torch.Tensor, table: Shared, key_GKSD: torch.Tensor) -> torch.Tensor:
    """Return scores [B * K, R, S] against the keys of each row's slot."""
    q = q_NRD.index_select(0, table.pick_N).view(
        -1, table.shape[1] * q_NRD.shape[1], key_GKSD.shape[3]
    )
    scores = torch.bmm(q, key_GKSD.flatten(0, 1).transpose(1, 2))
    return scores.view(-1, q_NRD.shape[1], key_GKSD.shape[2]).index_select(0, table.place_N)


def _weighted(p_NRS: torch.Tensor, table: Shared, value_GKSD: torch.Tensor) -> torch.Tensor:
    """Return the sums [B * K, R, D] of the values of each row's slot."""
    num_queries = p_NRS.shape[1]
    p = p_NRS.index_select(0, table.pick_N).view(-1, table.shape[1] * num_queries, p_NRS.shape[2])
    sums = torch.bmm(p, value_GKSD.flatten(0, 1))
    return sums.view(-1, num_queries, value_GKSD.shape[3]).index_select(0, table.place_N)
