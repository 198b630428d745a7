"""What is not finite is found wherever it is, and great numbers are no infinite ones."""

import math

import pytest
import torch

from trimtab.models.finite import are_finite


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_one_value_is_found(bad: float) -> None:
    tensors = [torch.zeros(3, 4), torch.zeros(()), torch.zeros(5, dtype=torch.bfloat16)]
    assert are_finite(tensors)
    for tensor in tensors:
        broken = tensor.clone().view(-1)
        broken[-1] = bad
        assert not are_finite([*tensors, broken])


def test_great_numbers_and_nothing_are_finite() -> None:
    great = torch.full((1000,), torch.finfo(torch.float32).max)
    assert are_finite([great]) and are_finite([]) and are_finite([torch.zeros(0)])
    assert are_finite([torch.ones(2, requires_grad=True)])
