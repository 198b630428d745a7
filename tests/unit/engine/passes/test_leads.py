"""Few-shot examples are computed once for each way they are acted on, whatever else is asked."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from trimtab.core.types import SamplingParams
from trimtab.engine.engine import Engine
from trimtab.engine.request import Activations, ActivationsResult, Edit, Request, Text, TextResult
from trimtab.models.load import LoadedModel
from trimtab.models.tiny import TinyLayout

SHOTS, PROBLEM, NEW = 90, 6, 5


@pytest.mark.parametrize("layout", ["llama", "gemma3"])
def test_trials_share_their_examples(
    load_tiny: Callable[[TinyLayout], LoadedModel], layout: TinyLayout
) -> None:
    loaded = load_tiny(layout)
    generator = torch.Generator().manual_seed(3)

    def tokens(count: int) -> tuple[int, ...]:
        return tuple(torch.randint(10, 200, (count,), generator=generator).tolist())

    shots, instructed = tokens(SHOTS), tokens(SHOTS + 20)
    problems = [tokens(PROBLEM) for _ in range(6)]
    v = torch.randn(loaded.layout.hidden_size, generator=generator)
    ways = [(), *((Edit(1, v, s, "all"),) for s in (0.3, -0.5)), (Edit(2, v, 0.4, "generated"),)]
    text = Text(SamplingParams(max_tokens=NEW))
    requests = [
        Request((way, i), (*shots, *problem), text, edits)
        for way, edits in enumerate(ways)
        for i, problem in enumerate(problems)
    ]
    requests += [Request(("told", i), (*instructed, *p), text) for i, p in enumerate(problems)]
    requests.append(Request("other", tokens(9), text, ways[1]))

    engine = Engine(loaded)
    seen: dict[int, list[int]] = {0: [], 3: []}
    handles = [
        loaded.layout.blocks[block].register_forward_pre_hook(
            lambda _module, args, _kwargs, found=found: found.append(args[0].shape[1]),
            with_kwargs=True,
        )
        for block, found in seen.items()
    ]
    try:
        results = {r.key: r for r in engine.run(requests)}
    finally:
        for handle in handles:
            handle.remove()
    unshared = Engine(replace(loaded, layout=replace(loaded.layout, may_expand=False)))
    for request in requests:
        (alone,) = unshared.run([request])
        found = results[request.key]
        assert isinstance(alone, TextResult) and isinstance(found, TextResult)
        assert found.tokens == alone.tokens, request.key
        assert found.logprob == pytest.approx(alone.logprob, abs=1e-4)

    steps = NEW * len(requests)
    rest = (len(ways) + 1) * len(problems) * PROBLEM + 9
    starts = SHOTS + 20 + SHOTS
    assert sum(seen[0]) <= starts + rest + steps, "below the edits all ways are one"
    assert sum(seen[3]) <= starts + 2 * SHOTS + rest + steps, "above them each way is computed once"


def test_a_capture_reads_the_examples_once(
    load_tiny: Callable[[TinyLayout], LoadedModel],
) -> None:
    loaded = load_tiny("gemma3")
    generator = torch.Generator().manual_seed(4)

    def tokens(count: int) -> tuple[int, ...]:
        return tuple(torch.randint(10, 200, (count,), generator=generator).tolist())

    shots = tokens(SHOTS)
    requests = []
    for i in range(5):
        prompt, answers = (*shots, *tokens(4 + i)), (tokens(3), tokens(5))
        for j, answer in enumerate(answers):
            stop = len(prompt) + len(answer)
            want = Activations((0, 2), answer, len(prompt) - 1, stop)
            requests.append(Request((i, j), prompt, want))
    engine = Engine(loaded)
    counts: list[int] = []
    handle = loaded.layout.blocks[0].register_forward_pre_hook(
        lambda _module, args, _kwargs: counts.append(args[0].shape[1]), with_kwargs=True
    )
    try:
        results = {r.key: r for r in engine.run(requests)}
    finally:
        handle.remove()
    assert sum(counts) < 2 * SHOTS
    for request in requests:
        (alone,) = Engine(loaded).run([request])
        found = results[request.key]
        assert isinstance(alone, ActivationsResult) and isinstance(found, ActivationsResult)
        torch.testing.assert_close(found.mean_LH, alone.mean_LH, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(found.norm_L, alone.norm_L, atol=1e-5, rtol=1e-4)
