"""Rows whose rotary frequencies depend on their length: each is what it is alone."""

import pytest
import torch
from transformers import AutoModelForCausalLM

from trimtab.core.errors import ModelError
from trimtab.core.spec import ModelSpec
from trimtab.core.types import SamplingParams
from trimtab.engine.engine import Engine
from trimtab.engine.reading.gradients import Answered, common_start
from trimtab.engine.request import Activations, Options, Request, Text
from trimtab.models.load import load_model, resolve
from trimtab.models.tiny import save_tiny

USUAL = 64
SCALING = {
    "dynamic": {"rope_type": "dynamic", "rope_theta": 10000.0, "factor": 4.0},
    "longrope": {
        "rope_type": "longrope",
        "rope_theta": 10000.0,
        "factor": 4.0,
        "original_max_position_embeddings": USUAL,
        "short_factor": [1.0] * 4,
        "long_factor": [4.0] * 4,
    },
}
OPTIONS = ((5, 6, 7, 8, 9, 10), (5,), (8, 9))
# the second has options on both sides of the length where frequencies change
LENGTHS = (12, USUAL - 3, 150, 151, 20)


@pytest.fixture(scope="module", params=SCALING)
def folder(request, tmp_path_factory):
    path = tmp_path_factory.mktemp(request.param)
    longest = USUAL if request.param == "dynamic" else 256
    return save_tiny(
        path, "llama", rope_parameters=SCALING[request.param], max_position_embeddings=longest
    )


@pytest.fixture(scope="module")
def engine(folder) -> Engine:
    return Engine(load_model(resolve(ModelSpec(id=str(folder), device="cpu"))))


def prompts() -> list[tuple[int, ...]]:
    generator = torch.Generator().manual_seed(0)
    whole = tuple(torch.randint(10, 200, (max(LENGTHS),), generator=generator).tolist())
    return [whole[:length] for length in LENGTHS]  # which share all they can


@torch.no_grad()
def as_new(folder, tokens) -> torch.Tensor:
    """Return logits [T, V] of a model that has seen nothing yet."""
    return AutoModelForCausalLM.from_pretrained(folder)(torch.tensor([tokens])).logits[0]


def test_options_and_activations_are_those_of_the_row_alone(folder, engine) -> None:
    rows = prompts()
    asked = [Request(("o", i), p, Options(OPTIONS, (0,))) for i, p in enumerate(rows)]
    asked += [Request(("a", i), p, Activations((3,), (5, 6), 0, 4)) for i, p in enumerate(rows)]
    for requests in (asked, asked[::-1]):
        for result in engine.run(requests):
            kind, i = result.key
            if kind == "o":
                assert result.kl[0] == 0.0 and result.kl[1:] == (None, None)
                for option, logprob in zip(OPTIONS, result.logprobs, strict=True):
                    logits = as_new(folder, rows[i] + option)[len(rows[i]) - 1 : -1]
                    picked = logits.log_softmax(-1).gather(1, torch.tensor(option)[:, None])
                    assert logprob == pytest.approx(float(picked.sum()), abs=1e-4)
            else:
                alone = next(iter(engine.run([Request(0, rows[i], asked[-1].want)])))
                torch.testing.assert_close(result.mean_LH, alone.mean_LH, atol=1e-5, rtol=1e-5)


def test_texts_are_those_of_generate_with_a_cache(folder, engine) -> None:
    sampling = SamplingParams(max_tokens=8)
    is_dynamic = engine.loaded.layout.rotation.dynamic
    rows = [p for p in prompts() if is_dynamic or not USUAL - 8 < len(p) <= USUAL]
    found = {r.key: r for r in engine.run([Request(p, p, Text(sampling)) for p in rows])}
    for prompt, result in found.items():
        model = AutoModelForCausalLM.from_pretrained(folder)
        ids = torch.tensor([prompt])
        out = model.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=8, do_sample=False,
            eos_token_id=sorted(engine.loaded.eos_ids), pad_token_id=0,
        )  # fmt: skip
        assert result.tokens == tuple(out[0, len(prompt) :].tolist())


def test_a_row_between_two_sets_of_frequencies_is_refused(engine) -> None:
    if engine.loaded.layout.rotation.dynamic:
        pytest.skip("dynamic scaling has no second set")
    prompt = (5,) * (USUAL - 2)
    list(engine.run([Request(0, prompt, Text(SamplingParams(max_tokens=3)))]))
    with pytest.raises(ModelError, match=r"Row 0 would grow from 62 to 65 .*beyond 64"):
        list(engine.run([Request(0, prompt, Text(SamplingParams(max_tokens=4)))]))


def test_what_is_learned_from_is_not_longer(engine) -> None:
    rows = [Answered((5,) * USUAL, ((6,),))]
    with pytest.raises(ModelError, match=r"65 tokens.*beyond 64"):
        common_start(engine.loaded, rows)


def test_a_reference_of_another_length_is_refused(engine) -> None:
    want = Options(((5,),), (0,), (7,) * 100)
    with pytest.raises(ModelError, match=r"compared with a prompt of another length"):
        list(engine.run([Request(0, (5, 6), want)]))
