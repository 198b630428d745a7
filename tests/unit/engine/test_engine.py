"""The engine against the slow, obvious way: same tokens, log-probabilities and activations."""

from collections.abc import Callable

import pytest
import torch
from slow_model import full_logits, greedy

from trimtab.core.errors import ConfigError, NonFiniteError
from trimtab.core.types import SamplingParams
from trimtab.engine.batching.segments import Segment
from trimtab.engine.engine import Engine
from trimtab.engine.passes.head import Head
from trimtab.engine.passes.passes import Pass
from trimtab.engine.request import (
    Activations,
    ActivationsResult,
    Edit,
    Options,
    OptionsResult,
    Positions,
    Request,
    Text,
    TextResult,
    Window,
)
from trimtab.models.load import LoadedModel
from trimtab.models.tiny import TinyLayout

FAMILIES: list[TinyLayout] = [
    "llama", "gemma2", "gemma3", "gemma3_multimodal", "qwen2", "qwen3", "mistral", "gpt2",
    "gpt_neo", "gpt_neox",
]  # fmt: skip
POSITIONS: list[Positions] = [
    "all", "prompt", "last_prompt", "generated", "after_prompt", Window(3, 6), Window(8)
]  # fmt: skip
Load = Callable[[TinyLayout], LoadedModel]


def prompts(num: int, seed: int = 0, shared: int = 0) -> list[tuple[int, ...]]:
    """Return random prompts of 3 to 40 tokens after ``shared`` common ones."""
    generator = torch.Generator().manual_seed(seed)
    common = torch.randint(10, 200, (shared,), generator=generator).tolist()
    lengths = torch.randint(3, 40, (num,), generator=generator).tolist()
    return [
        (*common, *torch.randint(10, 200, (length,), generator=generator).tolist())
        for length in lengths
    ]


def vector(loaded: LoadedModel, seed: int = 0) -> torch.Tensor:
    return torch.randn(loaded.layout.hidden_size, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("layout", FAMILIES)
@pytest.mark.parametrize(("max_rows", "max_tokens"), [(None, 4096), (5, 30)])
def test_texts_equal_slow_decoding_in_every_family(
    load_tiny: Load, layout, max_rows, max_tokens
) -> None:
    loaded = load_tiny(layout)
    v = vector(loaded)
    requests = [
        Request((i, s, str(p)), prompt, Text(SamplingParams(max_tokens=8)), (Edit(1, v, s, p),))
        for i, prompt in enumerate(prompts(4))
        for s, p in [(0.0, "generated"), (1.5, POSITIONS[i]), (-2.0, POSITIONS[i + 3])]
    ]
    results = {
        r.key: r for r in Engine(loaded, max_rows=max_rows, max_tokens=max_tokens).run(requests)
    }
    assert len(results) == len(requests)
    for request in requests:
        tokens, logprob = greedy(loaded, request.prompt, request.edits, 8)
        result = results[request.key]
        assert isinstance(result, TextResult)
        assert list(result.tokens) == tokens
        assert result.logprob == pytest.approx(logprob, abs=2e-4)


@pytest.mark.parametrize("layout", ["llama", "gemma3", "gpt2", "gpt_neo"])
@pytest.mark.parametrize("positions", POSITIONS, ids=str)
def test_options_equal_one_by_one_forwards(load_tiny: Load, layout, positions) -> None:
    loaded = load_tiny(layout)
    edits = (Edit(2, vector(loaded), 1.2, positions), Edit(0, vector(loaded, 1), -0.5, "generated"))
    options = ((5,), (6,), (5, 7, 9), (5, 7, 10), (11, 12, 13, 14, 15))
    requests = [
        Request(i, prompt, Options(options, reference=(2,)), edits)
        for i, prompt in enumerate(prompts(3, seed=1))
    ]
    for result in Engine(loaded).run(requests):
        assert isinstance(result, OptionsResult)
        prompt = requests[result.key].prompt
        n = len(prompt)
        for option, logprob in zip(options, result.logprobs, strict=True):
            full = full_logits(loaded, (*prompt, *option), n, edits)[n - 1 : -1].log_softmax(-1)
            expected = sum(float(full[i, t]) for i, t in enumerate(option))
            assert logprob == pytest.approx(expected, abs=1e-4)
        p = full_logits(loaded, (*prompt, *options[2]), n)[n - 1 : -1].log_softmax(-1)
        q = full_logits(loaded, (*prompt, *options[2]), n, edits)[n - 1 : -1].log_softmax(-1)
        divergence = float((p.exp() * (p - q)).sum(-1).mean())
        assert result.kl[2] == pytest.approx(divergence, abs=1e-4)
        assert result.kl[0] is None


@pytest.mark.parametrize("layout", FAMILIES)
def test_activations_equal_hidden_states(load_tiny: Load, layout) -> None:
    loaded = load_tiny(layout)
    rows = [(p, (20, 21, 22, 23)) for p in prompts(5, seed=2)]
    requests = [
        Request(i, p, Activations((0, 2), c, len(p), len(p) + len(c)))
        for i, (p, c) in enumerate(rows)
    ]
    for result in Engine(loaded).run(requests):
        assert isinstance(result, ActivationsResult)
        prompt, continuation = rows[result.key]
        with torch.no_grad():
            hidden = loaded.model(
                torch.tensor([[*prompt, *continuation]]), output_hidden_states=True
            ).hidden_states
        for row, layer in enumerate((0, 2)):
            answer = hidden[layer + 1][0, len(prompt) :]
            torch.testing.assert_close(result.mean_LH[row], answer.mean(0), atol=1e-5, rtol=1e-4)
            assert float(result.norm_L[row]) == pytest.approx(
                float(answer.norm(dim=-1).mean()), rel=1e-4
            )


def test_an_unedited_row_does_not_diverge_from_itself(load_tiny: Load) -> None:
    request = Request(0, (5, 6, 7), Options(((8, 9), (10,)), reference=(0, 1)))
    result = next(iter(Engine(load_tiny("llama")).run([request])))
    assert isinstance(result, OptionsResult) and result.kl == (0.0, 0.0)


def test_divergence_from_another_prompt(load_tiny: Load) -> None:
    loaded = load_tiny("llama")
    option, prompt, other = (8, 9, 10), (5, 6, 7), (11, 12, 13, 14, 6, 7)
    want = Options((option,), reference=(0,), reference_prompt=other)
    result = next(iter(Engine(loaded).run([Request(0, prompt, want)])))
    p = full_logits(loaded, (*other, *option), len(other))[len(other) - 1 : -1].log_softmax(-1)
    q = full_logits(loaded, (*prompt, *option), len(prompt))[len(prompt) - 1 : -1].log_softmax(-1)
    assert isinstance(result, OptionsResult)
    assert result.kl[0] == pytest.approx(float((p.exp() * (p - q)).sum(-1).mean()), abs=1e-4)


def test_capture_sees_the_edits_that_later_blocks_see(load_tiny: Load) -> None:
    loaded = load_tiny("llama")
    v = vector(loaded)
    want = Activations((1,), (20, 21), 3, 5)
    plain = next(iter(Engine(loaded).run([Request(0, (7, 8, 9), want)])))
    edits = (Edit(1, v, 2.0, "after_prompt"),)
    steered = next(iter(Engine(loaded).run([Request(0, (7, 8, 9), want, edits)])))
    assert isinstance(plain, ActivationsResult) and isinstance(steered, ActivationsResult)
    torch.testing.assert_close(steered.mean_LH[0], plain.mean_LH[0] + 2.0 * v)


@pytest.mark.parametrize("layout", ["llama", "gemma3", "gpt_neo"])
def test_batch_composition_and_shared_prefixes_do_not_matter(load_tiny: Load, layout) -> None:
    loaded = load_tiny(layout)
    v = vector(loaded)
    requests = [
        Request((i, s), prompt, Text(SamplingParams(max_tokens=6)), (Edit(2, v, s),))
        for i, prompt in enumerate(prompts(5, seed=3, shared=24))
        for s in (0.0, 0.7, -0.7)
    ]
    together = {r.key: r for r in Engine(loaded).run(requests)}
    small = {r.key: r for r in Engine(loaded, max_rows=2).run(requests)}
    for request in requests:
        alone = next(iter(Engine(loaded).run([request])))
        for other in (together[request.key], small[request.key]):
            assert isinstance(alone, TextResult) and isinstance(other, TextResult)
            assert other.tokens == alone.tokens
            assert other.logprob == pytest.approx(alone.logprob, abs=1e-4)


def test_strength_zero_is_the_baseline_exactly(load_tiny: Load) -> None:
    loaded = load_tiny("gemma3")
    v = vector(loaded)
    params = SamplingParams(max_tokens=12)
    requests = [
        Request((i, edited), prompt, Text(params), (Edit(1, v, 0.0, "all"),) if edited else ())
        for i, prompt in enumerate(prompts(6, seed=4))
        for edited in (False, True)
    ]
    results = {r.key: r for r in Engine(loaded).run(requests)}
    for i in range(6):
        plain, zero = results[i, False], results[i, True]
        assert isinstance(plain, TextResult) and isinstance(zero, TextResult)
        assert zero.tokens == plain.tokens


def test_sampled_rows_depend_on_their_own_seed_alone(load_tiny: Load) -> None:
    loaded = load_tiny("llama")
    params = SamplingParams(max_tokens=10, temperature=1.0, top_p=0.9, top_k=50)
    prompt = prompts(1, seed=5)[0]
    many = [Request(i, prompt, Text(params, seed=i)) for i in range(16)]
    sixteen = {r.key: r.tokens for r in Engine(loaded).run(many)}  # type: ignore[union-attr]
    five = {r.key: r.tokens for r in Engine(loaded).run(many[:5])}  # type: ignore[union-attr]
    assert {i: sixteen[i] for i in range(5)} == five
    assert len(set(sixteen.values())) > 8


def test_gemma_beyond_its_sliding_window(load_tiny: Load) -> None:
    loaded = load_tiny("gemma3")
    assert loaded.layout.sliding_window is not None
    prompt = tuple(range(10, 10 + 3 * loaded.layout.sliding_window))
    requests = [
        Request(0, prompt, Text(SamplingParams(max_tokens=6))),
        Request(1, prompt[:5], Text(SamplingParams(max_tokens=6))),
    ]
    for result in Engine(loaded).run(requests):
        assert isinstance(result, TextResult)
        assert list(result.tokens) == greedy(loaded, requests[result.key].prompt, (), 6)[0]


def test_stop_strings_cut_the_text_and_end_of_sequence_is_not_in_it(load_tiny: Load) -> None:
    loaded = load_tiny("llama")
    engine = Engine(loaded)
    prompt = prompts(1, seed=6)[0]
    free = next(iter(engine.run([Request(0, prompt, Text(SamplingParams(max_tokens=12)))])))
    assert isinstance(free, TextResult) and len(free.text) > 4
    stop = free.text[3:5]
    params = SamplingParams(max_tokens=12, stop=(stop,))
    cut = next(iter(engine.run([Request(0, prompt, Text(params))])))
    assert isinstance(cut, TextResult)
    assert cut.finish_reason == "stop" and stop not in cut.text
    assert cut.text == free.text[: free.text.find(stop)]


def test_the_model_is_left_as_it_was(load_tiny: Load) -> None:
    loaded = load_tiny("llama")
    before = {k: t.clone() for k, t in loaded.model.state_dict().items()}
    hooks = [len(block._forward_hooks) for block in loaded.layout.blocks]
    v = vector(loaded)
    kept = v.clone()
    edit = Edit(1, v, 3.0, "all")
    list(Engine(loaded).run([Request(0, (5, 6, 7), Text(SamplingParams(max_tokens=4)), (edit,))]))
    assert torch.equal(v, kept)
    assert all(torch.equal(t, before[k]) for k, t in loaded.model.state_dict().items())
    assert [len(block._forward_hooks) for block in loaded.layout.blocks] == hooks


def test_nan_weights_are_named_with_layer_row_and_position(load_tiny: Load) -> None:
    loaded = load_tiny("llama")
    weight = next(loaded.layout.blocks[2].parameters())
    saved = weight.data.clone()
    request = Request("row 7", (5, 6, 7), Text(SamplingParams(max_tokens=4)))
    wants = [request.want, Options(((5, 6),)), Activations((3,), (9,), 2, 4)]
    try:
        with torch.no_grad():
            weight[0, 0] = float("nan")
        for want in wants:
            with pytest.raises(NonFiniteError) as caught:
                list(Engine(loaded).run([Request("row 7", (5, 6, 7), want)]))
            message = str(caught.value)
            assert "row 7" in message and "weights" in message
            assert loaded.layout.block_names[2] in message, message
    finally:
        with torch.no_grad():
            weight.copy_(saved)


def test_a_dose_that_overflows_is_blamed_and_not_the_weights(load_tiny: Load) -> None:
    loaded = load_tiny("gpt2")
    edit = Edit(1, vector(loaded), 3e38, "all")
    with pytest.raises(NonFiniteError, match="Without its edits"):
        list(Engine(loaded).run([Request(0, (5, 6, 7), Options(((5,),)), (edit,))]))


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (Edit(9, torch.ones(8), 1.0), "layer 9"),
        (Edit(0, torch.ones(3), 1.0), "hidden size"),
        (Edit(0, torch.full((32,), float("nan")), 1.0), "hidden size|not finite"),
    ],
)
def test_edits_that_do_not_fit_are_refused(load_tiny: Load, edit, message) -> None:
    with pytest.raises(ConfigError, match=message):
        list(Engine(load_tiny("llama")).run([Request(0, (5,), Text(SamplingParams()), (edit,))]))


def test_gradients_flow_through_an_edit(load_tiny: Load) -> None:
    loaded = load_tiny("llama")
    engine = Engine(loaded)
    v = vector(loaded).requires_grad_()
    segment = Segment((5, 6, 7), 0, 3, (Edit(1, v, 1.0, "all"),))
    hidden_TH = Pass(engine.loaded, [segment]).run().hidden_TH
    Head(loaded).logits(hidden_TH)[:, :7].sum().backward()
    assert v.grad is not None and float(v.grad.norm()) > 0
