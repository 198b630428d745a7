"""Vectors that a row's prompt decides, against one row at a time with plain hooks."""

import pytest
import torch
from slow_model import full_logits, greedy

from trimtab.core.errors import ConfigError, NonFiniteError
from trimtab.core.spec import ModelSpec
from trimtab.core.types import ContrastPair, Message, SamplingParams
from trimtab.engine.engine import Engine
from trimtab.engine.request import (
    Edit,
    FromPrompt,
    Gate,
    Options,
    OptionsResult,
    Request,
    Text,
    TextResult,
)
from trimtab.interventions.base import INTERVENTIONS
from trimtab.models.load import LoadedModel, load_model, resolve
from trimtab.models.tiny import save_tiny
from trimtab.steering.fitted import FitContext

LAYER, NEW = 1, 5


@pytest.fixture(scope="module", params=["llama", "gemma3"])
def loaded(request: pytest.FixtureRequest, tmp_path_factory) -> LoadedModel:
    path = save_tiny(tmp_path_factory.mktemp(request.param) / "tiny", request.param)
    return load_model(resolve(ModelSpec(id=str(path), device="cpu")))


def prompts() -> list[tuple[int, ...]]:
    generator = torch.Generator().manual_seed(3)
    return [
        tuple(torch.randint(10, 200, (n,), generator=generator).tolist())
        for n in (1, 4, 9, 17, 30, 33)
    ]


def slow_state(loaded: LoadedModel, prompt: tuple[int, ...]) -> torch.Tensor:
    """The last token's state at the block, from a plain forward without edits."""
    seen: list[torch.Tensor] = []

    def hook(_module, _args, output) -> None:
        seen.append((output[0] if isinstance(output, tuple) else output)[0, -1])

    handle = loaded.layout.blocks[LAYER].register_forward_hook(hook)
    with torch.no_grad():
        loaded.model(torch.tensor([prompt]), use_cache=False)
    handle.remove()
    return seen[0]


def pairs(start: int, stop: int) -> list[ContrastPair]:
    return [
        ContrastPair(
            id=f"p{i}",
            question_id=f"q{i // 2}",
            messages=(Message(role="user", content=f"Is number {i // 2} true?"),),
            positive=f"Yes it is {i}",
            negative=f"No, never {i * 3}",
        )
        for i in range(start, stop)
    ]


def learned(loaded: LoadedModel, **config):
    """A fitted conditional edit, trained hard enough that its vectors differ from row to row."""
    training = {"steps": 15, "batch": 4, "learning_rate": 0.05, "evaluate_every": 15, "warmup": 0}
    data = {"mode": "mc", "input": "prompt", "layer": LAYER, "strength": 0.6, "vectors": 4}
    mlp = INTERVENTIONS.build("mlp", {**data, "size": 4, "training": training, **config})
    select = pairs(20, 28)
    return mlp, mlp.fit(FitContext.of_pairs(Engine(loaded), pairs(0, 20), "chat", 1, select=select))


def slow_vector(fitted, state_H: torch.Tensor) -> torch.Tensor:
    """The network's formula, written out."""
    net = {k.removeprefix("net."): v for k, v in fitted.tensors.items() if k.startswith("net.")}
    given_H = fitted.tensors[f"l{LAYER}.direction"]
    x = given_H / given_H.norm() * len(given_H) ** 0.5
    seen = torch.cat([x, (state_H - net["shift"]) * net["scale"]])
    inner = torch.nn.functional.gelu(net["first.weight"] @ seen + net["first.bias"])
    turned = x + net["last.weight"] @ inner + net["last.bias"]
    return turned / turned.norm() * given_H.norm()


def test_each_row_has_the_vector_of_its_own_prompt(loaded) -> None:
    mlp, fitted = learned(loaded)
    (edit,) = mlp.treat({"vector": fitted}).edits
    wants = {"text": Text(SamplingParams(max_tokens=NEW)), "options": Options(((5, 6), (7,)), (0,))}
    requests = [
        Request((kind, i), prompt, want, (edit,))
        for i, prompt in enumerate(prompts())
        for kind, want in wants.items()
    ]
    results = {r.key: r for r in Engine(loaded).run(requests)}
    vectors = []
    for i, prompt in enumerate(prompts()):
        vectors.append(slow_vector(fitted, slow_state(loaded, prompt)))
        acting = (Edit(LAYER, vectors[-1], edit.strength, "generated"),)
        text, options = results["text", i], results["options", i]
        assert isinstance(text, TextResult) and isinstance(options, OptionsResult)
        tokens, logprob = greedy(loaded, prompt, acting, NEW)
        assert list(text.tokens) == tokens
        assert text.logprob == pytest.approx(logprob, abs=1e-3)
        logits = full_logits(loaded, (*prompt, 7), len(prompt), acting)[len(prompt) - 1]
        assert options.logprobs[1] == pytest.approx(float(logits.log_softmax(-1)[7]), abs=1e-3)
    vector_BH = torch.stack(vectors)
    norm_B = fitted.tensors[f"l{LAYER}.direction"].norm().expand(len(vectors))
    torch.testing.assert_close(vector_BH.norm(dim=1), norm_B)
    cosine = torch.nn.functional.cosine_similarity(vector_BH[0], vector_BH[-1], dim=0)
    assert cosine < 0.999, "rows can be told apart"


def test_another_rows_prompt_can_decide_and_a_gate_may_stand_before(loaded) -> None:
    mlp, fitted = learned(loaded)
    (edit,) = mlp.treat({"vector": fitted}).edits
    one, other = prompts()[2:4]
    swapped = Edit(
        LAYER, edit.vector, edit.strength, source=FromPrompt(LAYER, edit.source.vector_of, other)
    )
    always = Gate(0, torch.ones(loaded.layout.hidden_size), -2.0)
    shut = Gate(0, torch.ones(loaded.layout.hidden_size), 2.0)
    gated = [
        Edit(LAYER, edit.vector, edit.strength, gate=gate, source=edit.source)
        for gate in (always, shut)
    ]
    want = Options(((7, 8),))
    found = {
        result.key: result.logprobs[0]
        for result in Engine(loaded).run(
            [
                Request("own", one, want, (edit,)),
                Request("other", one, want, (swapped,)),
                Request("open", one, want, (gated[0],)),
                Request("shut", one, want, (gated[1],)),
                Request("none", one, want),
            ]
        )
    }
    vector_H = slow_vector(fitted, slow_state(loaded, other))
    acting = (Edit(LAYER, vector_H, edit.strength, "generated"),)
    logprob_TV = full_logits(loaded, (*one, 7, 8), len(one), acting).log_softmax(-1)
    expected = float(logprob_TV[len(one) - 1, 7] + logprob_TV[len(one), 8])
    assert found["other"] == pytest.approx(expected, abs=1e-3)
    assert found["other"] != pytest.approx(found["own"], abs=1e-5)
    assert found["open"] == pytest.approx(found["own"], abs=1e-5)
    assert found["shut"] == pytest.approx(found["none"], abs=1e-6)


def test_a_learned_constant_vector_is_a_plain_edit(loaded) -> None:
    mlp, fitted = learned(loaded, input="vector", mode="gen")
    (edit,) = mlp.treat({"vector": fitted}).edits
    assert edit.source is None
    given_H = fitted.tensors[f"l{LAYER}.direction"]
    assert edit.vector.norm() == pytest.approx(float(given_H.norm()), rel=1e-5)
    residual = float(fitted.tensors[f"l{LAYER}.residual_norm"])
    assert edit.strength * float(edit.vector.norm()) == pytest.approx(0.6 * residual, rel=1e-5)
    caa = INTERVENTIONS.build("caa", {"layer": LAYER, "strength": 0.6})
    constant = caa.fit(FitContext.of_pairs(Engine(loaded), pairs(0, 20), "chat", 1))
    torch.testing.assert_close(given_H, constant.tensors[f"l{LAYER}.direction"])


def test_sources_that_do_not_fit_are_refused(loaded) -> None:
    v = torch.ones(loaded.layout.hidden_size)
    for source, error, words in [
        (FromPrompt(loaded.layout.num_layers, lambda h: h), ConfigError, "made of layer"),
        (FromPrompt(0, lambda h: h, ()), ConfigError, "without tokens"),
        (FromPrompt(0, lambda h: h / 0), NonFiniteError, "made of its prompt"),
        (FromPrompt(0, lambda h: h[1:]), NonFiniteError, "made of its prompt"),
    ]:
        request = Request(0, (5, 6), Text(SamplingParams()), (Edit(0, v, 1.0, source=source),))
        with pytest.raises(error, match=words):
            list(Engine(loaded).run([request]))
