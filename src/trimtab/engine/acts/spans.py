"""Adapters whose tokens lie side by side: each sees a slice of the pass, nothing is gathered.

Prompts and conversations are packed row after row, so the tokens of one adapter are a few long
spans. For each of them both factors are one product each, and the second adds to the output where
it lies: on a CPU several times faster than to gather the tokens and to scatter what is added, and
no input is kept twice for the gradients.

Shapes: T packed tokens, N of a span, I inputs and O outputs of the layer, R rank.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.autograd.function import once_differentiable

from trimtab.models.lowrank import LowRank

LEAST_LENGTH = 8
"""Spans that are shorter on average cost more than to gather their tokens."""

Span = tuple[int, int, int]
"""Which adapter sees tokens, the first of them, and the first behind them."""


def spans_of(number_T: np.ndarray) -> list[Span]:
    """Return the spans of tokens with one adapter each; -1 stands for none."""
    if not len(number_T):
        return []
    first = np.flatnonzero(np.diff(number_T, prepend=number_T[0] - 1))
    ends = [*first[1:].tolist(), len(number_T)]
    return [
        (int(number_T[at]), at, end)
        for at, end in zip(first.tolist(), ends, strict=True)
        if number_T[at] >= 0
    ]


def are_long(spans: Sequence[Span]) -> bool:
    """Whether spans are long enough to be computed one by one."""
    tokens = sum(end - first for _, first, end in spans)
    return tokens >= LEAST_LENGTH * len(spans)


def can_span(factors: Sequence[LowRank]) -> bool:
    """Whether factors of a layer can be computed span by span."""
    formats = {tensor.dtype for factor in factors for tensor in (factor.down, factor.up)}
    return len(formats) == 1 and not any(factor.dropout for factor in factors)


@dataclass(frozen=True, eq=False)
class SpannedAddition:
    """What adapters add to the output of a linear layer.

    Attributes:
        factors: Their factors, of any ranks and one number format, without dropout.
        spans: Which tokens each of them sees, by its place among ``factors``.
        num_tokens: T, of the pass.
    """

    factors: Sequence[LowRank]
    spans: Sequence[Span]
    num_tokens: int

    def to(self, x_1TI: torch.Tensor, y_1TO: torch.Tensor) -> torch.Tensor:
        """Return the output ``y`` for the input ``x`` with the addition; gradients flow.

        It is added in place, where no gradient is asked for or ``y`` is what a layer made.
        """
        scalings = [factor.scaling for factor in self.factors]
        tensors = [tensor for factor in self.factors for tensor in (factor.down, factor.up)]
        if not torch.is_grad_enabled():
            _add(x_1TI[0], y_1TO[0], self.spans, scalings, tensors)
            return y_1TO
        # a view would have to copy its gradient, and a leaf that asks for one can't be changed
        copied = y_1TO.is_leaf or y_1TO._base is not None
        own_1TO = y_1TO.clone() if copied else y_1TO
        added: torch.Tensor = _Spanned.apply(  # type: ignore[no-untyped-call]
            x_1TI, own_1TO, self.spans, scalings, *tensors
        )
        return added


def _add(
    x_TI: torch.Tensor,
    y_TO: torch.Tensor,
    spans: Sequence[Span],
    scalings: Sequence[float],
    tensors: Sequence[torch.Tensor],
) -> list[torch.Tensor]:
    """Add to ``y`` what the factors make of ``x``; return the products [N, R] between them.

    Where ``y`` is shorter than the factors it is widened block by block, and rounded once.
    """
    dtype = torch.promote_types(y_TO.dtype, tensors[0].dtype)
    found = []
    for block in _blocks(spans):
        reach = _reach(block)
        wide_x, wide_y = x_TI[reach].to(dtype), y_TO[reach].to(dtype)
        for number, first, end in block:
            down, up = (tensor.to(dtype) for tensor in tensors[2 * number : 2 * number + 2])
            here = slice(first - reach.start, end - reach.start)
            low_NR = (wide_x[here] @ down.T).mul_(scalings[number])
            wide_y[here].addmm_(low_NR, up.T)
            found.append(low_NR)
        if dtype != y_TO.dtype:
            y_TO[reach].copy_(wide_y)
    return found


def _blocks(spans: Sequence[Span]) -> list[list[Span]]:
    """Return the spans in groups between which there are tokens without an adapter."""
    blocks: list[list[Span]] = []
    for span in spans:
        if blocks and blocks[-1][-1][2] == span[1]:
            blocks[-1].append(span)
        else:
            blocks.append([span])
    return blocks


def _reach(block: Sequence[Span]) -> slice:
    """Return the tokens of a block."""
    return slice(block[0][1], block[-1][2])


class _Spanned(torch.autograd.Function):
    """The addition and its gradients, span by span."""

    @staticmethod
    def forward(
        context: Any,
        x_1TI: torch.Tensor,
        y_1TO: torch.Tensor,
        spans: Sequence[Span],
        scalings: Sequence[float],
        *tensors: torch.Tensor,
    ) -> torch.Tensor:
        # no linear layer needs its output for gradients
        context.mark_dirty(y_1TO)
        low = _add(x_1TI[0], y_1TO[0], spans, scalings, tensors)
        context.save_for_backward(x_1TI, *low, *tensors)
        context.spans, context.scalings = spans, scalings
        return y_1TO

    @staticmethod
    @once_differentiable
    def backward(context: Any, above_1TO: torch.Tensor) -> tuple[Any, ...]:
        x_1TI, *saved = context.saved_tensors
        spans, scalings = context.spans, context.scalings
        low, tensors = saved[: len(spans)], saved[len(spans) :]
        slopes: list[torch.Tensor | None] = [None] * len(tensors)
        dtype = torch.promote_types(above_1TO.dtype, tensors[0].dtype)
        x_slope_1TI = _empty_in(x_1TI, spans) if context.needs_input_grad[0] else None
        lows = iter(low)
        for block in _blocks(spans):
            reach = _reach(block)
            wide_x, wide_above = x_1TI[0, reach].to(dtype), above_1TO[0, reach].to(dtype)
            wide_slope = None if x_slope_1TI is None else _as_wide(x_slope_1TI[0, reach], dtype)
            for number, first, end in block:
                down, up = (tensor.to(dtype) for tensor in tensors[2 * number : 2 * number + 2])
                here = slice(first - reach.start, end - reach.start)
                above_NO = wide_above[here]
                slope_NR = (above_NO @ up).mul_(scalings[number])
                _sum(slopes, 2 * number, slope_NR.T @ wide_x[here])
                _sum(slopes, 2 * number + 1, above_NO.T @ next(lows))
                if wide_slope is not None:
                    torch.mm(slope_NR, down, out=wide_slope[here])
            if x_slope_1TI is not None and wide_slope is not None and x_slope_1TI.dtype != dtype:
                x_slope_1TI[0, reach].copy_(wide_slope)
        wanted = context.needs_input_grad[4:]
        return (
            x_slope_1TI,
            above_1TO,
            None,
            None,
            *(
                slope.to(tensor.dtype) if want and slope is not None else None
                for slope, tensor, want in zip(slopes, tensors, wanted, strict=True)
            ),
        )


def _sum(slopes: list[torch.Tensor | None], at: int, slope: torch.Tensor) -> None:
    """Add a slope to what is there already: an adapter may have several spans."""
    before = slopes[at]
    slopes[at] = slope if before is None else before.add_(slope)


def _as_wide(slope_NI: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Return what holds slopes in ``dtype``: the tensor itself where it has that format."""
    return slope_NI if slope_NI.dtype == dtype else slope_NI.new_empty(slope_NI.shape, dtype=dtype)


def _empty_in(x_1TI: torch.Tensor, spans: Sequence[Span]) -> torch.Tensor:
    """Return a tensor like ``x`` that is 0 where no span lies; within them it is to be set."""
    slope_1TI = torch.empty_like(x_1TI)
    at = 0
    for _, first, end in spans:
        slope_1TI[0, at:first] = 0
        at = end
    slope_1TI[0, at:] = 0
    return slope_1TI
