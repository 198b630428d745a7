"""Large products go to oneDNN and are torch's to the last bits."""

from collections.abc import Iterator

import pytest
import torch

from trimtab.engine.engine import Engine
from trimtab.engine.passes import products
from trimtab.engine.request import Activations, Options, Request

M, D, N = 300, 64, 257


@pytest.fixture(autouse=True)
def _no_grad() -> Iterator[None]:
    with torch.no_grad():
        yield


@pytest.mark.parametrize(
    "right",
    [
        torch.randn(2, 3, D, N),
        torch.randn(2, 3, N, D).transpose(2, 3),
        torch.randn(2, N, 3, D).permute(0, 2, 3, 1),
        torch.randn(2, 3, 2 * D, 2 * N)[:, :, ::2, ::2],
        torch.randn(1, 1, D, N).expand(2, 3, D, N),
    ],
    ids=["contiguous", "keys", "packed keys", "strided", "expanded"],
)
def test_any_layout_gives_what_torch_gives(right: torch.Tensor) -> None:
    left = torch.randn(2, M, 3, D).transpose(1, 2)
    assert products._by_onednn(left, right)
    expected = (left.double() @ right.double()).float()
    torch.testing.assert_close(products.matmul(left, right), expected, atol=1e-4, rtol=1e-5)


def test_what_stays_with_torch() -> None:
    left, right = torch.randn(M, D), torch.randn(D, N)
    assert products._by_onednn(left, right)
    assert not products._by_onednn(left[:30], right), "small"
    assert not products._by_onednn(left.double(), right.double())
    assert not products._by_onednn(left.bfloat16(), right.bfloat16())
    with torch.enable_grad():
        assert not products._by_onednn(left, right), "it has no gradient"


@pytest.mark.parametrize("layout", ["llama", "gemma3"])
def test_a_model_computes_the_same_with_it(load_tiny, layout, monkeypatch) -> None:
    engine = Engine(load_tiny(layout))
    start = tuple(range(5, 45))
    rows = [Request(i, (*start, 50 + i, 60), Options(((11, 12), (13,)))) for i in range(5)]
    states = [Request(9, (*start, 70), Activations((0, 1), (), 3, 41))]
    found = []
    for worth in (2**60, 1):
        monkeypatch.setattr(products, "_WORTH", worth)
        options = {result.key: result.logprobs for result in engine.run(rows)}
        (state,) = engine.run(states)
        found.append((torch.tensor([options[row.key] for row in rows]), state.mean_LH))
    torch.testing.assert_close(found[0], found[1], atol=1e-5, rtol=1e-5)
