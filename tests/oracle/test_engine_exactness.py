"""The engine's results do not depend on how work is cut, shared, refilled or retried.

Tokens must be the same and log-probabilities agree to 1e-5 (float32, both families, rows on both
sides of Gemma's sliding window); the reference is each request alone, with nothing shared.
"""

from dataclasses import replace

import pytest
import torch
from slow_model import full_logits

from trimtab.core.errors import ModelError
from trimtab.core.spec import ModelSpec
from trimtab.core.types import SamplingParams
from trimtab.engine.engine import Engine
from trimtab.engine.request import (
    Activations,
    ActivationsResult,
    Edit,
    Options,
    OptionsResult,
    Request,
    Text,
    TextResult,
    Window,
)
from trimtab.models.load import LoadedModel, load_model, resolve
from trimtab.models.tiny import save_tiny

TOLERANCE = 1e-5


@pytest.fixture(scope="module", params=["llama", "gemma3", "gpt2"])
def loaded(request: pytest.FixtureRequest, tmp_path_factory) -> LoadedModel:
    path = tmp_path_factory.mktemp(request.param)
    save_tiny(path, request.param)
    return load_model(resolve(ModelSpec(id=str(path), device="cpu")))


def work(loaded: LoadedModel, shared: int) -> list[Request]:
    """Prompts of 1 to 60 tokens (Gemma's window is 16), shared by rows with edits of every kind."""
    generator = torch.Generator().manual_seed(shared)

    def tokens(count: int) -> tuple[int, ...]:
        return tuple(torch.randint(10, 200, (count,), generator=generator).tolist())

    v = torch.randn(loaded.layout.hidden_size, generator=generator)
    heads = torch.randn(loaded.layout.head_width, generator=generator)
    edits = [
        (),
        (Edit(1, v, 0.0, "all"),),
        (Edit(1, v, 0.8, "generated"),),
        (Edit(1, v, -0.8, "generated"), Edit(3, v, 0.5, "all")),
        (Edit(0, v, 0.5, "prompt"),),
        (Edit(2, heads, 0.7, "all", "heads"), Edit(2, v, 0.3, Window(4, 9))),
    ]
    common = tokens(shared)
    requests = []
    for i, count in enumerate((60, 33, 17, 16, 2, 1)):
        prompt = (*common, *tokens(count))
        for j, row_edits in enumerate(edits):
            hot = SamplingParams(max_tokens=3 + (5 * i + j) % 14, temperature=0.8 * (j % 2))
            requests.append(Request(("text", i, j), prompt, Text(hot, seed=j), row_edits))
            options = ((5,), (5, 6, 7), (8, 9, 10, 11), (5, 6, 12))
            requests.append(Request(("options", i, j), prompt, Options(options, (1,)), row_edits))
            start = max(0, len(prompt) - 3)
            want = Activations((0, 2), options[j % 3], start, len(prompt) + len(options[j % 3]))
            requests.append(Request(("activations", i, j), prompt, want, row_edits))
    return requests


def assert_equal(one, other) -> None:
    if isinstance(one, TextResult):
        assert one.tokens == other.tokens, one.key
        assert one.logprob == pytest.approx(other.logprob, abs=TOLERANCE * len(one.tokens))
    elif isinstance(one, OptionsResult):
        assert one.logprobs == pytest.approx(other.logprobs, abs=4 * TOLERANCE)
        assert one.kl[1] == pytest.approx(other.kl[1], abs=4 * TOLERANCE)
    else:
        assert isinstance(one, ActivationsResult)
        torch.testing.assert_close(one.mean_LH, other.mean_LH, atol=1e-4, rtol=1e-4)


@pytest.fixture(scope="module", params=[0, 20, 80], ids=lambda n: f"primer{n}")
def alone(request: pytest.FixtureRequest, loaded: LoadedModel):
    """Requests, and each one's result from a run of its own, unshared."""
    requests = work(loaded, request.param)
    unshared = replace(loaded, layout=replace(loaded.layout, may_expand=False))
    engine = Engine(unshared)
    return requests, {r.key: next(iter(engine.run([r]))) for r in requests}


@pytest.mark.parametrize(("max_rows", "max_tokens"), [(None, 4096), (64, 300), (5, 90), (2, 1)])
def test_any_batch_is_as_good_as_a_batch_of_one(loaded, alone, max_rows, max_tokens) -> None:
    requests, expected = alone
    engine = Engine(loaded, max_rows=max_rows, max_tokens=max_tokens)
    results = list(engine.run(requests[::-1]))
    assert len(results) == len(requests)
    for result in results:
        assert_equal(result, expected[result.key])


def test_options_equal_the_models_own_forward(loaded, alone) -> None:
    requests, expected = alone
    for request in requests:
        if isinstance(request.want, Options) and request.key[2] != 5:
            n = len(request.prompt)
            for option, logprob in zip(
                request.want.options, expected[request.key].logprobs, strict=True
            ):
                tokens = (*request.prompt, *option)
                logits = full_logits(loaded, tokens, n, request.edits)[n - 1 : -1]
                picked = logits.log_softmax(-1).gather(1, torch.tensor(option)[:, None])
                assert logprob == pytest.approx(float(picked.sum()), abs=1e-4)


def test_memory_that_runs_out_costs_no_row(loaded, alone) -> None:
    requests, expected = alone
    requests = requests[::2]  # of every kind, prompt and edit
    engine = Engine(loaded, max_rows=16)
    largest: list[int] = []
    # a request and its unedited reference fit, little more
    enough = 2 * max(len(request.prompt) for request in requests) + 30

    def short_of_memory(_module, args, _kwargs) -> None:
        largest.append(args[0].shape[1])
        if args[0].shape[1] > enough:
            raise torch.OutOfMemoryError("out of memory")

    handle = loaded.layout.blocks[1].register_forward_pre_hook(short_of_memory, with_kwargs=True)
    try:
        results = list(engine.run(requests))
    finally:
        handle.remove()
    assert max(largest) > enough
    assert sorted(r.key for r in results) == sorted(r.key for r in requests)
    for result in results:
        assert_equal(result, expected[result.key])


def test_a_row_that_never_fits_is_named(loaded) -> None:
    def no_memory(_module, _args) -> None:
        raise torch.OutOfMemoryError("out of memory")

    handle = loaded.layout.blocks[0].register_forward_pre_hook(no_memory)
    try:
        with pytest.raises(ModelError, match="A single row of 9 tokens"):
            request = Request(0, (5, 6, 7), Text(SamplingParams(max_tokens=6)))
            list(Engine(loaded).run([request]))
    finally:
        handle.remove()
