"""Prompts that begin alike are computed once, whatever the others do."""

import random

import pytest
import torch

from trimtab.engine.engine import Engine
from trimtab.engine.options import _stems
from trimtab.engine.request import Edit, Options, Request


def tree(seed: int) -> list[tuple[int, ...]]:
    """Prompts of one start: alone, twice, and in a group with a start of its own and one within."""
    draw = random.Random(seed)

    def some(count: int) -> tuple[int, ...]:
        return tuple(draw.randrange(5, 90) for _ in range(count))

    start, group = some(6), some(30)
    inner = group + some(25)
    alone, twice = start + some(40), start + some(20)
    tails = [start + group + some(n) for n in (1, 9)] + [start + inner + some(n) for n in (0, 1, 7)]
    return [alone, twice, *tails, twice, start]


def test_only_what_two_prompts_share_is_computed_apart() -> None:
    prompts = tree(0)
    stems = _stems(prompts, 6)
    assert stems[0] == 6 and stems[-1] == 6, "they share no more than the start"
    assert stems[1] == stems[-2] == len(prompts[1]) - 1, "equal prompts, all but their last token"
    assert stems[2:4] == [36, 36]
    assert stems[4:7] == [60, 61, 61], "the first is a start of the others"


@pytest.mark.parametrize("layout", ["llama", "gemma3"])
@pytest.mark.parametrize("positions", ["generated", "all"])
def test_shared_starts_change_no_score(load_tiny, layout, positions) -> None:
    engine = Engine(load_tiny(layout))
    generator = torch.Generator().manual_seed(3)
    edits = [(), (Edit(1, torch.randn(engine.hidden_size, generator=generator), 2.0, positions),)]
    rows = [
        Request((i, j), prompt, Options(((11, 12), (13,), (14,), (11, 15, 16))), edit)
        for i, prompt in enumerate(tree(1))
        for j, edit in enumerate(edits)
    ]
    together = {result.key: result.logprobs for result in engine.run(rows)}
    for row in rows:
        (alone,) = engine.run([row])
        assert together[row.key] == pytest.approx(alone.logprobs, abs=1e-5)
