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
from itertools import pairwise
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

    Where ``y`` is shorter than the factors it is widened as a whole, and rounded once.
    """
    reach, dtype = _reach(spans), tensors[0].dtype
    wide_x, wide_y = x_TI[reach].to(dtype), y_TO[reach].to(dtype)
    found = []
    for number, first, end in spans:
        down, up = tensors[2 * number], tensors[2 * number + 1]
        here = slice(first - reach.start, end - reach.start)
        low_NR = (wide_x[here] @ down.T).mul_(scalings[number])
        wide_y[here].addmm_(low_NR, up.T)
        found.append(low_NR)
    if dtype != y_TO.dtype:
        y_TO[reach].copy_(wide_y)
    return found


def _reach(spans: Sequence[Span]) -> slice:
    """Return the tokens from the first span to the last."""
    return slice(spans[0][1], spans[-1][2])


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
        reach, dtype = _reach(spans), tensors[0].dtype
        wide_x, wide_above = x_1TI[0, reach].to(dtype), above_1TO[0, reach].to(dtype)
        wide_slope = _empty_in(wide_x, spans) if context.needs_input_grad[0] else None
        for (number, first, end), low_NR in zip(spans, low, strict=True):
            down, up = tensors[2 * number], tensors[2 * number + 1]
            here = slice(first - reach.start, end - reach.start)
            above_NO = wide_above[here]
            slope_NR = (above_NO @ up).mul_(scalings[number])
            for at, slope in (
                (2 * number, slope_NR.T @ wide_x[here]),
                (2 * number + 1, above_NO.T @ low_NR),
            ):
                before = slopes[at]
                slopes[at] = slope if before is None else before.add_(slope)
            if wide_slope is not None:
                torch.mm(slope_NR, down, out=wide_slope[here])
        x_slope_1TI = None if wide_slope is None else _whole(wide_slope, reach, x_1TI)
        wanted = context.needs_input_grad[4:]
        return (
            x_slope_1TI,
            above_1TO,
            None,
            None,
            *(slope if want else None for slope, want in zip(slopes, wanted, strict=True)),
        )


def _empty_in(wide_x: torch.Tensor, spans: Sequence[Span]) -> torch.Tensor:
    """Return a tensor like ``wide_x`` that is 0 between spans; within them it is to be set."""
    wide_slope = torch.empty_like(wide_x)
    start = spans[0][1]
    for (*_, end), (_, first, _) in pairwise(spans):
        wide_slope[end - start : first - start] = 0
    return wide_slope


def _whole(wide_slope: torch.Tensor, reach: slice, x_1TI: torch.Tensor) -> torch.Tensor:
    """Return slopes of all tokens in the number format of ``x``; 0 outside of ``reach``."""
    if len(wide_slope) == x_1TI.shape[1]:
        return wide_slope[None].to(x_1TI.dtype)
    slope_1TI = torch.zeros_like(x_1TI)
    slope_1TI[0, reach].copy_(wide_slope)
    return slope_1TI
