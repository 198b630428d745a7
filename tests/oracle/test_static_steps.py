"""Steps of fixed shape write what the engine writes step by step, run as they are and recorded.

Where there is no GPU, operations are recorded by ``recorded_operations.py``, which has what can go
wrong with a CUDA graph: fixed memory, no Python, no waiting for the device.
"""

from dataclasses import replace

import pytest
import recorded_operations
import torch

from trimtab.core.errors import NonFiniteError
from trimtab.core.spec import ModelSpec
from trimtab.core.types import SamplingParams
from trimtab.engine.batching.scheduler import Limits
from trimtab.engine.engine import Engine
from trimtab.engine.passes.head import Head
from trimtab.engine.request import Edit, Request, Text, TextResult, Window
from trimtab.engine.writing.decode import write
from trimtab.engine.writing.stepping import write_static
from trimtab.models.load import LoadedModel, load_model, resolve
from trimtab.models.tiny import save_tiny

TOLERANCE = 1e-5


@pytest.fixture(
    scope="module",
    params=["llama", "gemma3", pytest.param("gemma2", marks=pytest.mark.campaign), "gpt2"],
)
def path(request: pytest.FixtureRequest, tmp_path_factory) -> str:
    return str(save_tiny(tmp_path_factory.mktemp(request.param), request.param))


@pytest.fixture(scope="module")
def loaded(path: str) -> LoadedModel:
    return load_model(resolve(ModelSpec(id=path, device="cpu")))


def work(loaded: LoadedModel, shared: int) -> list[Request]:
    """Rows with edits of every kind and strength, greedy and drawn, longer than Gemma's window.

    Prompts have 1 to 60 tokens beyond their common start, texts 3 to 80.
    """
    generator = torch.Generator().manual_seed(shared)

    def tokens(count: int) -> tuple[int, ...]:
        return tuple(torch.randint(10, 200, (count,), generator=generator).tolist())

    v = torch.randn(loaded.layout.hidden_size, generator=generator)
    heads = torch.randn(loaded.layout.head_width, generator=generator)
    edits = [
        (),
        (Edit(1, v, 0.8),),
        (Edit(1, v, -0.8), Edit(3, v, 0.5, "all")),
        (Edit(0, v, 0.5, "prompt"), Edit(1, v, 0.3, "after_prompt")),
        (Edit(2, heads, 0.7, "all", "heads"), Edit(2, v, 0.3, Window(4, 70))),
    ]
    common = tokens(shared)
    found = []
    for i, count in enumerate((60, 33, 16, 2, 1)):
        prompt = (*common, *tokens(count))
        for j, some in enumerate(edits):
            sampling = SamplingParams(
                max_tokens=3 + (29 * i + 11 * j) % 78,
                temperature=0.8 * ((i + j) % 2),
                top_k=40 * (j % 3 == 0),
                top_p=0.9 if j == 1 else 1.0,
            )
            found.append(Request((i, j), prompt, Text(sampling, seed=i), some))
    return found


def step_by_step(loaded: LoadedModel, requests: list[Request], limits: Limits) -> dict:
    with torch.no_grad():
        return {r.key: r for r in write(loaded, Head(loaded), requests, limits)}


def fixed(loaded: LoadedModel, requests: list[Request], limits: Limits, record) -> dict:
    with torch.no_grad():
        results = list(write_static(loaded, Head(loaded), requests, limits, record))
    assert len(results) == len(requests)
    return {r.key: r for r in results}


def assert_same(found: dict, expected: dict) -> None:
    assert found.keys() == expected.keys()
    for key, one in found.items():
        other = expected[key]
        assert isinstance(one, TextResult)
        assert one.tokens == other.tokens, key
        assert (one.text, one.finish_reason) == (other.text, other.finish_reason)
        assert one.logprob == pytest.approx(other.logprob, abs=TOLERANCE * len(one.tokens))


@pytest.fixture(scope="module", params=[0, 20, 80], ids=lambda n: f"primer{n}")
def job(request: pytest.FixtureRequest, loaded: LoadedModel) -> tuple[list[Request], dict]:
    """Requests, and what the engine writes step by step."""
    requests = work(loaded, request.param)
    return requests, step_by_step(loaded, requests, Limits(25, 4096))


@pytest.mark.parametrize(
    ("rows", "record"),
    [(4, recorded_operations.record), (25, recorded_operations.record), (7, None)],
)
def test_fixed_steps_equal_step_by_step(loaded, job, rows: int, record) -> None:
    requests, expected = job
    assert_same(fixed(loaded, requests, Limits(rows, 200), record), expected)


def test_texts_beyond_several_rungs(loaded) -> None:
    endless = replace(loaded, eos_ids=frozenset())
    requests = [
        replace(r, want=Text(r.want.sampling.model_copy(update={"max_tokens": 40 + 30 * i})))
        for i, r in enumerate(work(loaded, 0)[:5])
    ]
    expected = step_by_step(endless, requests, Limits(3, 4096))
    assert max(len(r.tokens) for r in expected.values()) > 128
    assert_same(fixed(endless, requests, Limits(3, 4096), recorded_operations.record), expected)


def test_fewer_rows_at_the_end(loaded) -> None:
    v = torch.randn(loaded.layout.hidden_size, generator=torch.Generator().manual_seed(5))
    requests = [
        Request(
            i,
            (20 + i % 9, 30, 40),
            Text(SamplingParams(max_tokens=5 + 2 * i, temperature=i % 3 / 2), seed=i),
            (Edit(1, v, 0.1 * (i % 5)),),
        )
        for i in range(40)
    ]
    expected = step_by_step(loaded, requests, Limits(40, 4096))
    widths: list[int] = []
    handle = loaded.layout.blocks[0].register_forward_pre_hook(
        lambda _module, args, _kwargs: widths.append(args[0].shape[1]), with_kwargs=True
    )
    try:
        found = fixed(loaded, requests, Limits(40, 4096), recorded_operations.record)
    finally:
        handle.remove()
    assert {40, 20, 10} <= set(widths)
    assert_same(found, expected)


def test_strengths_change_without_a_new_recording(loaded) -> None:
    """Rows enter one after the other, each with a strength of its own, into a single recording."""
    v = torch.randn(loaded.layout.hidden_size, generator=torch.Generator().manual_seed(5))
    sampling = SamplingParams(max_tokens=6)
    requests = [
        Request(s, (5, 6, 7, 8), Text(sampling), (Edit(2, v, s / 4),)) for s in range(-6, 7)
    ]
    recordings = []

    def counted(step):
        recordings.append(step)
        return recorded_operations.record(step)

    found = fixed(loaded, requests, Limits(1, 4096), counted)
    assert len(recordings) == 1
    expected = step_by_step(loaded, requests, Limits(13, 4096))
    assert len({r.tokens for r in expected.values()}) > 3
    assert_same(found, expected)


def test_strength_zero_is_the_baseline(loaded) -> None:
    v = torch.randn(loaded.layout.hidden_size, generator=torch.Generator().manual_seed(5))
    text = Text(SamplingParams(max_tokens=20))
    requests = [
        Request((s, i), (5 + i, 6, 7), text, (Edit(2, v, s),)) for s in (0, 2) for i in (0, 1)
    ]
    requests += [Request((None, i), (5 + i, 6, 7), text) for i in (0, 1)]
    found = fixed(loaded, requests, Limits(6, 4096), recorded_operations.record)
    for i in (0, 1):
        assert found[0, i].tokens == found[None, i].tokens
        assert found[0, i].logprob == found[None, i].logprob


def test_stop_strings_and_ends_cut_surplus_steps(loaded) -> None:
    free = work(loaded, 0)
    texts = step_by_step(loaded, free, Limits(25, 4096))
    requests = []
    for request in free:
        text = texts[request.key].text
        stop = text[4:6] if len(text) > 8 else "never"
        sampling = request.want.sampling.model_copy(update={"stop": (stop,)})
        requests.append(replace(request, want=replace(request.want, sampling=sampling)))
    expected = step_by_step(loaded, requests, Limits(25, 4096))
    assert sum(r.finish_reason == "stop" for r in expected.values()) > 5
    assert_same(fixed(loaded, requests, Limits(6, 4096), recorded_operations.record), expected)


def test_non_finite_rows_are_named(loaded) -> None:
    v = torch.ones(loaded.layout.hidden_size)
    requests = work(loaded, 0)[:4]
    edits = (Edit(1, v, 3e38), Edit(2, v, 3e38))
    requests.append(Request("row 7", (5, 6, 7), Text(SamplingParams(max_tokens=4)), edits))
    with pytest.raises(NonFiniteError, match="row 7"):
        fixed(loaded, requests, Limits(3, 4096), recorded_operations.record)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="a CUDA device is needed")
@pytest.mark.parametrize("rows", [4, 25])
def test_cuda_graphs_equal_the_cpu(path: str, loaded, rows: int, caplog) -> None:
    requests = work(loaded, 20)
    expected = step_by_step(loaded, requests, Limits(25, 4096))
    on_gpu = load_model(resolve(ModelSpec(id=path, device="cuda", dtype="float32")))
    results = {r.key: r for r in Engine(on_gpu, max_rows=rows).run(requests)}
    assert "not recorded" not in caplog.text
    assert_same(results, expected)
