"""Many adapters of a few tokens each at once: as many operations as for one.

Each adapter sees its own tokens only. They are laid out in a rectangle, a line for each adapter,
and both factors of all of them are one batched product each; what pads the short lines is left
behind.

Shapes: K adapters, T packed tokens, N of them with an adapter, M tokens of the longest line, I
inputs and O outputs of the layer, R rank.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from trimtab.models.lowrank import LowRank

WORTH_GROUPING = 4
"""Fewer adapters cost less one after the other."""


@dataclass(frozen=True, eq=False)
class Lines:
    """Which tokens each adapter sees.

    Attributes:
        num_tokens: T, of the pass.
        token_KM: Tokens in lines, the first token in the place of padding.
        token_N: The tokens that carry an adapter, line by line.
        place_N: Where they stand in the rectangle, counted line by line.
        first: First token of the rectangle, if it is tokens of the pass that lie side by side in
            their order; None if it is not.
    """

    num_tokens: int
    token_KM: torch.Tensor
    token_N: torch.Tensor
    place_N: torch.Tensor
    first: int | None

    @classmethod
    def of(cls, tokens: Sequence[np.ndarray], num_tokens: int, device: torch.device) -> Lines:
        """Lay out the tokens of each adapter."""
        most = max(map(len, tokens))
        rectangle = np.zeros((len(tokens), most), dtype=np.int64)
        for line, some in zip(rectangle, tokens, strict=True):
            line[: len(some)] = some
        places = [line * most + np.arange(len(some)) for line, some in enumerate(tokens)]
        arrays = (rectangle, np.concatenate(tokens), np.concatenate(places))
        start = int(rectangle[0, 0])
        lie_together = np.array_equal(rectangle.ravel(), start + np.arange(rectangle.size))
        token_KM, token_N, place_N = (torch.from_numpy(a).to(device) for a in arrays)
        return cls(num_tokens, token_KM, token_N, place_N, start if lie_together else None)


@dataclass(frozen=True, eq=False)
class GroupedAddition:
    """What adapters of one rank add to the output of a linear layer.

    Attributes:
        down_KIR: Their first factors.
        up_KRO: Their second factors, with their scaling.
        lines: Which tokens each of them sees.
    """

    down_KIR: torch.Tensor
    up_KRO: torch.Tensor
    lines: Lines

    @classmethod
    def of(cls, factors: Sequence[LowRank], lines: Lines) -> GroupedAddition:
        """Stack the factors; gradients flow."""
        down_KIR = torch.stack([factor.down for factor in factors]).transpose(1, 2)
        scaling_K = down_KIR.new_tensor([factor.scaling for factor in factors])
        up_KOR = torch.stack([factor.up for factor in factors]) * scaling_K[:, None, None]
        return cls(down_KIR, up_KOR.transpose(1, 2), lines)

    @property
    def num_tokens(self) -> int:
        """T, of the pass."""
        return self.lines.num_tokens

    def to(self, x_1TI: torch.Tensor, y_1TO: torch.Tensor) -> torch.Tensor:
        """Return the output ``y`` for the input ``x`` with the addition; gradients flow.

        Without gradients it may be added in place.
        """
        lines, dtype = self.lines, self.up_KRO.dtype
        is_wide = torch.promote_types(y_1TO.dtype, dtype) == dtype
        if lines.first is not None and is_wide and not torch.is_grad_enabled():
            here = slice(lines.first, lines.first + lines.token_KM.numel())
            x_KMI, y_KMO = (z[0, here].unflatten(0, lines.token_KM.shape) for z in (x_1TI, y_1TO))
            low_KMR = torch.bmm(x_KMI.to(self.down_KIR.dtype), self.down_KIR)
            sum_KMO = y_KMO.to(dtype).baddbmm_(low_KMR, self.up_KRO)
            if sum_KMO.dtype != y_KMO.dtype:  # else it is the same tensor
                y_KMO.copy_(sum_KMO)
            return y_1TO
        x_KMI = x_1TI[0, lines.token_KM].to(self.down_KIR.dtype)
        added_KMO = torch.bmm(torch.bmm(x_KMI, self.down_KIR), self.up_KRO)
        added_NO = added_KMO.flatten(0, 1)
        if len(lines.place_N) < len(added_NO):
            added_NO = added_NO[lines.place_N]
        if added_NO.dtype == y_1TO.dtype:
            return y_1TO.index_add(1, lines.token_N, added_NO[None])
        # rounded once, as where all tokens carry one adapter
        sum_1NO = (y_1TO[:, lines.token_N] + added_NO[None]).to(y_1TO.dtype)
        return y_1TO.index_copy(1, lines.token_N, sum_1NO)


def can_group(factors: Sequence[LowRank]) -> bool:
    """Whether factors of a layer are worth a batched product, and fit into one."""
    first = factors[0]
    return len(factors) >= WORTH_GROUPING and all(
        f.down.shape == first.down.shape and f.down.dtype == first.down.dtype and not f.dropout
        for f in factors
    )
