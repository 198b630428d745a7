"""What can't be computed is one line, before anything is."""

from dataclasses import replace

import pytest
import torch

from trimtab.core.errors import ConfigError
from trimtab.core.spec import ModelSpec
from trimtab.core.types import SamplingParams
from trimtab.engine.engine import Engine
from trimtab.engine.request import Activations, Edit, FromPrompt, Options, Request, Text
from trimtab.models.load import load_model, resolve
from trimtab.models.tiny import save_tiny

TEXT = Text(SamplingParams(max_tokens=2))


@pytest.fixture(scope="module")
def engine(load_tiny) -> Engine:
    return Engine(load_tiny("llama"))


@pytest.mark.parametrize("token", [-1, 263, 10**6])
def test_tokens_that_the_model_does_not_have(engine, token) -> None:
    source = FromPrompt(1, lambda state: state, prompt=(5, token))
    edit = Edit(1, torch.ones(32), 1.0, source=source)
    for request in (
        Request(7, (5, token), TEXT),
        Request(7, (5,), Options(((6,), (6, token)))),
        Request(7, (5,), Options(((6,),), (0,), (token,))),
        Request(7, (5,), Activations((0,), (token,), 0, 1)),
        Request(7, (5,), TEXT, (edit,)),
    ):
        with pytest.raises(ConfigError, match=f"Request 7 holds the token {token}"):
            list(engine.run([Request(1, (5,), TEXT), request]))


def test_a_token_of_the_tokenizer_beyond_the_embedding_is_named(engine) -> None:
    tokenizer = type(engine.loaded.tokenizer).from_pretrained(engine.loaded.resolved.spec.id)
    tokenizer.add_tokens("<extra>")
    other = Engine(replace(engine.loaded, tokenizer=tokenizer))
    with pytest.raises(ConfigError, match=r"token 263 \('<extra>'\).*0 to 262.*`rendering: plain`"):
        list(other.run([Request(0, tuple(tokenizer("a<extra>").input_ids), TEXT)]))


@pytest.mark.parametrize(
    "field",
    [{"max_tokens": 0}, {"max_tokens": -3}, {"temperature": -1.0}, {"temperature": float("nan")},
     {"top_p": 0.0}, {"top_p": 1.5}, {"top_k": -1}, {"stop": ("",)}],
)  # fmt: skip
def test_sampling_that_draws_nothing(engine, field) -> None:
    with pytest.raises(ConfigError, match=f"sampling: {next(iter(field))} = "):
        SamplingParams(**field)
    sampling = SamplingParams().model_copy(update=field)  # which asks nobody
    with pytest.raises(ConfigError, match=f"sampling: {next(iter(field))} = "):
        list(engine.run([Request(0, (5,), Text(sampling))]))


@pytest.mark.parametrize("seed", [-1, 2**128])
def test_a_seed_that_no_stream_has(engine, seed) -> None:
    with pytest.raises(ConfigError, match=f"has the seed {seed}"):
        list(engine.run([Request(0, (5,), replace(TEXT, seed=seed))]))


def test_rows_beyond_the_learned_positions(tmp_path) -> None:
    folder = save_tiny(tmp_path, "gpt2", n_positions=32)
    engine = Engine(load_model(resolve(ModelSpec(id=str(folder), device="cpu"))))
    long = (5,) * 31
    fits = Text(SamplingParams(max_tokens=2))
    # a row at its end stays beside one that goes on
    beside = Request("beside", (6, 7), Text(SamplingParams(max_tokens=20)))
    others = [replace(beside, key=i, prompt=(6, 7, i)) for i in range(1, 6)]
    found = {r.key: r for r in engine.run([Request("long", long, fits), beside, *others])}
    alone = {r.key: r for r in engine.run([beside])}
    assert len(found) == 7 and found["beside"].tokens == alone["beside"].tokens
    for want in (Text(SamplingParams(max_tokens=3)), Options(((5, 6, 7),)),
                 Activations((0,), (5, 6), 0, 1)):  # fmt: skip
        with pytest.raises(ConfigError, match=r"takes 33 tokens, .* has 32 learned positions"):
            list(engine.run([Request(0, long, want)]))
