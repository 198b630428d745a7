"""Adapters of spans do what each does to its tokens by itself."""

import numpy as np
import pytest
import torch

from trimtab.engine.acts.adapters import Addition
from trimtab.engine.acts.grouped import GroupedAddition, Lines
from trimtab.engine.acts.spans import Span, SpannedAddition, are_long, can_span, spans_of
from trimtab.models.lowrank import LowRank

OWNERS = np.array([1, 1, 0, 0, 0, -1, 1, 2, 2, -1])


def drawn(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


def factors_of(ranks: list[int]) -> list[LowRank]:
    return [
        LowRank(drawn(rank, 6).requires_grad_(), drawn(5, rank).requires_grad_(), 0.5 + i)
        for i, rank in enumerate(ranks)
    ]


def one_by_one(factors: list[LowRank], x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    for number, factor in enumerate(factors):
        tokens = torch.from_numpy(np.flatnonzero(number == OWNERS))
        y = Addition(factor, len(OWNERS), tokens).to(x, y)
    return y


def test_spans_are_runs_of_one_adapter() -> None:
    assert spans_of(OWNERS) == [(1, 0, 2), (0, 2, 5), (1, 6, 7), (2, 7, 9)]
    assert spans_of(np.array([], dtype=int)) == [] == spans_of(np.array([-1, -1]))
    assert are_long([(0, 0, 8), (1, 8, 16)]) and not are_long([(0, 0, 8), (1, 8, 15)])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_spans_are_one_adapter_after_the_other(dtype: torch.dtype) -> None:
    factors = factors_of([2, 3, 1])
    x = drawn(1, 10, 6).to(dtype).requires_grad_()
    y = drawn(1, 10, 5).to(dtype).requires_grad_()
    leaves = [x, y, *(t for f in factors for t in (f.down, f.up))]
    near = {"rtol": 1e-5, "atol": 1e-5} if dtype == torch.float32 else {"rtol": 0.1, "atol": 0.05}
    spans: list[Span] = spans_of(OWNERS)
    expected = one_by_one(factors, x, y)
    found = SpannedAddition(factors, spans, 10).to(x, y)
    assert found.dtype == dtype and torch.allclose(found, expected, **near)
    slopes = (torch.autograd.grad(z.float().square().sum(), leaves) for z in (found, expected))
    for a, b in zip(*slopes, strict=True):
        assert a.dtype == b.dtype and torch.allclose(a, b, **near)
    with torch.no_grad():
        place = y.detach().clone()
        assert SpannedAddition(factors, spans, 10).to(x, place) is place
    assert torch.equal(place, found)


def test_an_adapter_of_some_layers_gets_no_other_gradient() -> None:
    """Neither inputs nor factors that nobody asks about."""
    first, second = factors_of([2, 2])
    frozen = LowRank(second.down.detach(), second.up.detach(), 1.0)
    added = SpannedAddition([first, frozen], [(0, 0, 4), (1, 4, 10)], 10)
    added.to(drawn(1, 10, 6), drawn(1, 10, 5)).sum().backward()
    assert first.down.grad is not None and frozen.down.grad is None


def test_spans_amid_the_base_leave_its_slopes_alone() -> None:
    (factor,) = factors_of([2])
    x, y = drawn(1, 10, 6).bfloat16().requires_grad_(), drawn(1, 10, 5).bfloat16()
    found = SpannedAddition([factor], [(0, 2, 4), (0, 7, 9)], 10).to(x, y)
    (slope,) = torch.autograd.grad(found.float().square().sum(), [x])
    touched = slope.abs().sum(-1)[0] > 0
    assert touched.tolist() == [i in (2, 3, 7, 8) for i in range(10)]


def test_a_base_that_is_wider_than_the_factors_keeps_its_digits() -> None:
    """Also the tokens between the spans, and what no gradient is asked of."""
    x, y = drawn(1, 10, 6).double(), drawn(1, 10, 5).double() / 3
    nothing = [LowRank(drawn(2, 6), torch.zeros(5, 2), 1.0)] * 4
    spans = [(0, 0, 3), (1, 5, 6), (2, 6, 8), (3, 8, 9)]
    lines = Lines.of([np.array([i]) for i in range(4)], 10, torch.device("cpu"))
    for addition in (SpannedAddition(nothing, spans, 10), GroupedAddition.of(nothing, lines)):
        with torch.no_grad():
            assert torch.equal(addition.to(x, y.clone()), y)
    wide = x.clone().requires_grad_()
    some = factors_of([2, 2, 2, 2])
    found = SpannedAddition(some, spans, 10).to(wide, y.clone()).sum()
    slopes = torch.autograd.grad(found, [wide, some[0].down])
    assert [slope.dtype for slope in slopes] == [torch.float64, torch.float32]


def test_factors_of_two_formats_or_with_dropout_are_not_computed_by_spans() -> None:
    first, second = factors_of([2, 2])
    assert can_span([first, second])
    assert not can_span([first, LowRank(second.down.double(), second.up.double(), 1.0)])
    assert not can_span([first, LowRank(second.down, second.up, 1.0, dropout=0.1)])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_token_of_each_adapter_is_computed_where_it_lies(dtype: torch.dtype) -> None:
    factors = factors_of([2, 2, 2, 2])
    x, y = drawn(1, 4, 6).to(dtype), drawn(1, 4, 5).to(dtype)
    lines = Lines.of([np.array([i]) for i in range(4)], 4, torch.device("cpu"))
    assert lines.first == 0
    group = GroupedAddition.of(factors, lines)
    expected = group.to(x, y).detach()
    with torch.no_grad():
        found = group.to(x, y.clone())
    # rounded once, on both ways
    assert torch.allclose(found, expected, atol=1e-6 if dtype == torch.float32 else 0.02)
    assert Lines.of([np.array([1]), np.array([0])], 2, torch.device("cpu")).first is None


def test_lines_that_lie_behind_rows_of_the_base_are_computed_where_they_lie() -> None:
    factors = factors_of([2, 2, 2, 2])
    x, y = drawn(1, 11, 6), drawn(1, 11, 5)
    tokens = [2 + np.arange(2) + 2 * i for i in range(4)]
    lines = Lines.of(tokens, 11, torch.device("cpu"))
    assert lines.first == 2
    group = GroupedAddition.of(factors, lines)
    expected = group.to(x, y).detach()
    with torch.no_grad():
        found = group.to(x, y.clone())
    assert torch.allclose(found, expected, atol=1e-6)
    assert torch.equal(found[:, :2], y[:, :2]) and torch.equal(found[:, 10:], y[:, 10:])
