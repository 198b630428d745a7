"""Sampling filters against a loop over the definition."""

import numpy as np
import pytest
import torch

from trimtab.core.types import SamplingParams
from trimtab.engine.passes.head import Head
from trimtab.engine.request import Text
from trimtab.engine.writing.sampling import Sampler, invert_cut, invert_cut_among_few


@pytest.fixture
def head(load_tiny) -> Head:
    return Head(load_tiny("llama"))


def allowed(logits: np.ndarray, params: SamplingParams) -> dict[int, float]:
    """Return the tokens that may be drawn and their probabilities, the slow way."""
    z = logits / params.temperature
    order = sorted(range(len(z)), key=lambda i: (-z[i], i))
    if params.top_k:
        order = order[: params.top_k]
    p = np.exp(z[order] - z[order].max())
    p /= p.sum()
    kept, before = {}, 0.0
    for token, mass in zip(order, p, strict=True):
        if before < params.top_p:
            kept[token] = mass
        before += mass
    total = sum(kept.values())
    return {t: m / total for t, m in kept.items()}


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
@pytest.mark.parametrize(("top_p", "top_k"), [(1.0, 0), (0.7, 0), (1.0, 3), (0.8, 5), (0.01, 0)])
def test_draws_follow_the_filtered_distribution(head, temperature, top_p, top_k) -> None:
    params = SamplingParams(max_tokens=1, temperature=temperature, top_p=top_p, top_k=top_k)
    logits = torch.randn(12, generator=torch.Generator().manual_seed(3))
    expected = allowed(logits.double().numpy(), params)
    n = 4000
    sampler = Sampler([Text(params, seed=i) for i in range(n)], head)
    drawn = sampler.draw(logits.expand(n, -1), list(range(n)), [0] * n).tolist()
    assert set(drawn) <= set(expected)
    for token, p in expected.items():
        assert drawn.count(token) / n == pytest.approx(p, abs=4 * (p * (1 - p) / n) ** 0.5 + 1e-3)


@pytest.mark.parametrize("top_p", [0.01, 0.6, 0.95, 1.0])
@pytest.mark.parametrize("top_k", [5, 256, 300, float("inf")])
@pytest.mark.parametrize(
    "step", [1e-6, 0.5]
)  # words that are equally likely are many in the latter
def test_few_words_are_picked_from_as_from_all(top_p, top_k, step) -> None:
    generator = torch.Generator().manual_seed(5)
    # from flat, where few words are not enough, to steep
    heat = torch.linspace(0.1, 6, 60)[:, None]
    logits = ((torch.randn(60, 5000, generator=generator) * heat) / step).round() * step
    most = torch.full((60, 1), top_k, dtype=torch.float64)
    mass = torch.full((60, 1), top_p, dtype=torch.float64)
    u = torch.rand(60, 1, generator=generator, dtype=torch.float64)
    expected = invert_cut(logits, most, mass, u)
    assert torch.equal(invert_cut_among_few(logits, most, mass, u), expected)


@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
def test_a_row_that_is_not_finite_disturbs_no_other(wrong) -> None:
    generator = torch.Generator().manual_seed(2)
    logits = torch.randn(4, 3000, generator=generator)
    most, mass = torch.full((4, 1), torch.inf, dtype=torch.float64), torch.full((4, 1), 0.99)
    u = torch.rand(4, 1, generator=generator, dtype=torch.float64)
    expected = invert_cut(logits, most, mass, u)
    logits[1, 7] = wrong
    picked = invert_cut_among_few(logits, most, mass, u)
    assert torch.equal(picked[[0, 2, 3]], expected[[0, 2, 3]])


def test_zeros_of_both_signs_are_equally_likely() -> None:
    logits = torch.zeros(1, 1000)
    logits[0, ::3] = -0.0
    most, mass = torch.full((1, 1), torch.inf, dtype=torch.float64), torch.full((1, 1), 0.9)
    for u in (0.1, 0.5, 0.99):
        at = torch.tensor([[u]], dtype=torch.float64)
        expected = invert_cut(logits, most, mass, at)
        assert torch.equal(invert_cut_among_few(logits, most, mass, at), expected)


def test_greedy_rows_and_sampled_rows_share_a_batch(head) -> None:
    hidden = torch.randn(3, 32, generator=torch.Generator().manual_seed(1))
    logprobs = head.logits(hidden).log_softmax(-1)
    hot = SamplingParams(temperature=1.0)
    wants = [Text(SamplingParams()), Text(hot, seed=4), Text(SamplingParams())]
    tokens, chosen = Sampler(wants, head).choose(hidden, [0, 1, 2], [0, 5, 1])
    assert tokens[[0, 2]].tolist() == logprobs[[0, 2]].argmax(-1).tolist()
    alone, _ = Sampler(wants[1:2], head).choose(hidden[1:2], [0], [5])
    assert int(tokens[1]) == int(alone[0])
    torch.testing.assert_close(chosen, logprobs.gather(1, tokens[:, None])[:, 0])


def test_a_long_vocabulary_is_drawn_block_by_block(head) -> None:
    # 300 words: two full blocks and a part of one; every word must be reachable, none beyond
    n = 3000
    sampler = Sampler([Text(SamplingParams(temperature=1.0), seed=i) for i in range(n)], head)
    logits = torch.zeros(n, 300)
    logits[:, :40] = -torch.inf
    logits[:, 290:] = -torch.inf
    drawn = sampler.draw(logits, range(n), [0] * n)
    assert set(drawn.tolist()) == set(range(40, 290))
