"""Sampling filters against a loop over the definition."""

import numpy as np
import pytest
import torch

from trimtab.core.types import SamplingParams
from trimtab.engine.request import Text
from trimtab.engine.sampling import Sampler


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
def test_draws_follow_the_filtered_distribution(temperature, top_p, top_k) -> None:
    params = SamplingParams(max_tokens=1, temperature=temperature, top_p=top_p, top_k=top_k)
    logits = torch.randn(12, generator=torch.Generator().manual_seed(3))
    expected = allowed(logits.double().numpy(), params)
    n = 4000
    sampler = Sampler([Text(params, seed=i) for i in range(n)])
    drawn = sampler.choose(logits.expand(n, -1), list(range(n)), 0).tolist()
    assert set(drawn) <= set(expected)
    for token, p in expected.items():
        assert drawn.count(token) / n == pytest.approx(p, abs=4 * (p * (1 - p) / n) ** 0.5 + 1e-3)


def test_greedy_rows_and_sampled_rows_share_a_batch() -> None:
    logits = torch.randn(2, 50, generator=torch.Generator().manual_seed(1))
    wants = [Text(SamplingParams()), Text(SamplingParams(temperature=1.0), seed=4)]
    both = Sampler(wants).choose(logits, [0, 1], 0)
    assert int(both[0]) == int(logits[0].argmax())
    assert int(both[1]) == int(Sampler(wants[1:]).choose(logits[1:], [0], 0)[0])
