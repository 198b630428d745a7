"""The sliced head against the whole softmax."""

import pytest
import torch

from trimtab.engine.passes.head import Head
from trimtab.models.load import LoadedModel


@pytest.mark.parametrize("layout", ["llama", "gemma2", "gpt2"])
@pytest.mark.parametrize("num_words", [50, 8192])
def test_greedy_tokens_and_log_probabilities(load_tiny, layout: str, num_words: int) -> None:
    loaded: LoadedModel = load_tiny(layout)
    head = Head(loaded, num_words)
    hidden = 3 * torch.randn(300, loaded.layout.hidden_size)
    with torch.no_grad():
        expected = loaded.layout.logits(hidden).double().log_softmax(-1)
        token, logit, total = head.greedy(hidden)
        torch.testing.assert_close(head.logits(hidden).log_softmax(-1), expected.float())
        assert torch.equal(token, expected.argmax(-1))
        best = expected.amax(-1).float()
        torch.testing.assert_close(logit - total, best, atol=1e-5, rtol=0)
        rows = torch.arange(300).repeat_interleave(2)
        tokens = torch.randint(0, expected.shape[1], (600,))
        picked = head.logprobs(hidden, rows, tokens)
        torch.testing.assert_close(picked, expected[rows, tokens], atol=1e-5, rtol=0)


def test_a_nan_shows_in_the_total(load_tiny) -> None:
    hidden = torch.zeros(3, 32)
    hidden[1, 4] = float("nan")
    with torch.no_grad():
        _, _, total = Head(load_tiny("llama"), 50).greedy(hidden)
    assert torch.isfinite(total).tolist() == [True, False, True]
