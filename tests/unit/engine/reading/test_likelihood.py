"""Log-probabilities at places of rows, whatever the rows have in common."""

from collections.abc import Callable

import pytest
import torch
from slow_model import full_logits

from trimtab.engine.passes import passes
from trimtab.engine.passes.head import Head
from trimtab.engine.reading.likelihood import Learned, token_logprobs
from trimtab.models.load import LoadedModel
from trimtab.models.tiny import TinyLayout


@pytest.mark.parametrize("layout", ["llama", "gemma3"])
def test_a_common_start_is_read_once_up_to_the_first_place(
    load_tiny: Callable[[TinyLayout], LoadedModel], layout, monkeypatch
) -> None:
    loaded = load_tiny(layout)
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(10, 200, (100,), generator=generator).tolist()
    rows = [
        Learned((*tokens[:40], *tokens[40 + i :][: 5 + 7 * i]), (30 + 3 * i, 44 + 7 * i))
        for i in range(3)
    ]
    rows.append(rows[0])
    read: list[int] = []
    run = passes.Pass.run

    def counted(self: passes.Pass, *args, **options):
        found = run(self, *args, **options)
        read.append(len(found.hidden_TH))
        return found

    monkeypatch.setattr(passes.Pass, "run", counted)
    whole = token_logprobs(loaded, Head(loaded), rows)
    assert read == [44 + 51 + 58]
    read.clear()
    with torch.no_grad():
        found = token_logprobs(loaded, Head(loaded), rows)
    assert read == [29, 15 + 22 + 29]
    for row, some, others in zip(rows, found, whole, strict=True):
        logprob_TV = full_logits(loaded, row.tokens, 0).log_softmax(dim=1)
        expected = [float(logprob_TV[place - 1, row.tokens[place]]) for place in row.places]
        assert some.tolist() == pytest.approx(expected, abs=2e-5)
        assert others.tolist() == pytest.approx(expected, abs=2e-5)
