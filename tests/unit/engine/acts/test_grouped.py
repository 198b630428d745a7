"""Many adapters at once do what each does by itself."""

import numpy as np
import pytest
import torch

from trimtab.engine.acts.adapters import Addition
from trimtab.engine.acts.grouped import GroupedAddition, Lines, can_group
from trimtab.models.lowrank import LowRank

TOKENS = [np.array(x) for x in ([0, 1, 2], [5], [3, 4, 6, 7], [10, 9])]


def drawn(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_many_at_once_are_one_after_the_other(dtype: torch.dtype) -> None:
    factors = [
        LowRank(
            drawn(2, 6 + i)[:, :6].requires_grad_(), drawn(5 + i, 2)[:5].requires_grad_(), 0.5 + i
        )
        for i in range(4)
    ]
    x, y = drawn(1, 12, 6).to(dtype), drawn(1, 12, 5).to(dtype)
    expected = y
    for factor, tokens in zip(factors, TOKENS, strict=True):
        expected = Addition(factor, 12, torch.from_numpy(tokens)).to(x, expected)
    leaves = [t for f in factors for t in (f.down, f.up)]
    slopes = torch.autograd.grad(expected.float().square().sum(), leaves)
    lines = Lines.of(TOKENS, 12, torch.device("cpu"))
    found = GroupedAddition.of(factors, lines).to(x, y)
    assert found.dtype == dtype and torch.equal(found[:, [8, 11]], y[:, [8, 11]])
    assert torch.allclose(found, expected, atol=1e-6 if dtype == torch.float32 else 1e-2)
    again = torch.autograd.grad(found.float().square().sum(), leaves)
    for a, b in zip(again, slopes, strict=True):
        assert torch.allclose(a, b, rtol=1e-4 if dtype == torch.float32 else 1e-1, atol=1e-4)


def test_which_adapters_go_together() -> None:
    one = LowRank(drawn(2, 6), drawn(5, 2), 1.0)
    assert can_group([one] * 4) and not can_group([one] * 3)
    assert not can_group([*[one] * 4, LowRank(drawn(3, 6), drawn(5, 3), 1.0)])
    assert not can_group([*[one] * 4, LowRank(one.down, one.up, 1.0, dropout=0.1)])
