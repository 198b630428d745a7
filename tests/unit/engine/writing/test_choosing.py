"""A batch of fixed shape chooses what the sampler chooses."""

import pytest
import torch

from trimtab.core.types import SamplingParams
from trimtab.engine.passes.head import Head
from trimtab.engine.request import Text
from trimtab.engine.writing.choosing import Chooser
from trimtab.engine.writing.sampling import Sampler

WANTS = [
    Text(SamplingParams(max_tokens=5)),
    Text(SamplingParams(max_tokens=9, temperature=0.7), seed=1),
    Text(SamplingParams(max_tokens=3, temperature=1.3, top_k=5), seed=2),
    Text(SamplingParams(max_tokens=7, temperature=1.0, top_p=0.6), seed=3),
    Text(SamplingParams(max_tokens=9, temperature=0.7, top_k=40, top_p=0.9), seed=4),
]


@pytest.mark.parametrize("some", [[0, 0, 0], [0, 1, 1], [1, 2, 3, 4, 0, 3, 2], [4] * 70])
def test_tokens_are_those_of_the_sampler(load_tiny, some: list[int]) -> None:
    head = Head(load_tiny("llama"))
    generator = torch.Generator().manual_seed(0)
    sampler, chooser = Sampler(WANTS, head), Chooser(WANTS, head, len(some))
    greedy = Chooser([WANTS[0]], head, len(some))
    chooser.enter(range(len(some)), some)
    for step in range(3):
        hidden = torch.randn(len(some), 32, generator=generator)
        steps = torch.full((len(some),), step)
        wanted = sampler.choose(hidden, some, steps.tolist())
        for mine in [chooser, *([greedy] if not any(some) else [])]:
            tokens, logprobs = mine.choose(hidden, steps)
            assert tokens.tolist() == wanted[0].tolist()
            torch.testing.assert_close(logprobs, wanted[1])


def test_logits_that_are_not_finite_choose_a_word_of_the_vocabulary(load_tiny) -> None:
    head = Head(load_tiny("llama"))
    chooser = Chooser(WANTS, head, len(WANTS))
    chooser.enter(range(len(WANTS)), range(len(WANTS)))
    hidden = torch.full((len(WANTS), 32), float("nan"))
    tokens, logprobs = chooser.choose(hidden, torch.zeros(len(WANTS), dtype=torch.long))
    assert all(0 <= token < 263 for token in tokens.tolist())
    assert logprobs.isnan().all()
