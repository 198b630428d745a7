"""Products of many queries with the keys they share, on a CPU in float32 by oneDNN.

torch leaves such products to its BLAS, which on processors that it does not know well reaches less
than half of oneDNN's rate (``bench/RESULTS.md``). bfloat16 goes to oneDNN anyway.
"""

from __future__ import annotations

import math

import torch

_WORTH = 2**22
"""Multiplications from which on a product of its own pays; many small ones are better together."""


def matmul(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Return ``left @ right``, [..., M, N] of [..., M, D] and [..., D, N] with equal fronts."""
    if not _by_onednn(left, right):
        return torch.matmul(left, right)
    linear = torch.ops.mkldnn._linear_pointwise
    weights = right.transpose(-2, -1).flatten(0, -3)
    products = [
        linear(x, _dense(weight), None, "none", [], "")
        for x, weight in zip(left.contiguous().flatten(0, -3), weights, strict=True)
    ]
    found: torch.Tensor = torch.stack(products).unflatten(0, left.shape[:-2])
    return found


def _dense(weight: torch.Tensor) -> torch.Tensor:
    """Return a matrix without gaps, transposed or not: with gaps oneDNN is a thousand times slower.

    Its optimised kernels do not take them.
    """
    return weight if weight.T.is_contiguous() else weight.contiguous()


def _by_onednn(left: torch.Tensor, right: torch.Tensor) -> bool:
    return (
        left.device.type == "cpu"
        and left.dtype == right.dtype == torch.float32
        and not torch.is_grad_enabled()
        and math.prod(left.shape[-2:]) * right.shape[-1] >= _WORTH
        and torch.backends.mkldnn.is_available()
    )
