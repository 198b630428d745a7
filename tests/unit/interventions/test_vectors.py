"""CAA and its random control: fitted as defined, as strong as said."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from trimtab.core.errors import ConfigError, DataError
from trimtab.core.spec import ModelSpec
from trimtab.core.types import ContrastPair, Message
from trimtab.engine.engine import Engine
from trimtab.interventions.base import INTERVENTIONS
from trimtab.models.load import load_model, resolve
from trimtab.models.tiny import TinyLayout, save_tiny
from trimtab.steering.fitted import FitContext, Fitted

PAIRS = [
    ContrastPair(
        id=f"p{i}",
        question_id=f"q{i // 2}",
        messages=(Message(role="user", content=f"Is number {i} true?"),),
        positive=f"Yes it is {i}",
        negative=f"No, never {i * 3}",
    )
    for i in range(10)
]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Callable[[TinyLayout], Engine]:
    made: dict[str, Engine] = {}
    root: Path = tmp_path_factory.mktemp("tiny")

    def make(layout: TinyLayout) -> Engine:
        if layout not in made:
            save_tiny(root / layout, layout)
            made[layout] = Engine(load_model(resolve(ModelSpec(id=str(root / layout)))))
        return made[layout]

    return make


def fit(engine: Engine, **config) -> Fitted:
    caa = INTERVENTIONS.build("caa", {"layer": 1, "layers": [0, 1, 2], **config})
    return caa.fit(FitContext.of_pairs(engine, PAIRS, "chat", seed=0))


@pytest.mark.parametrize("layout", ["llama", "gemma3"])
@pytest.mark.parametrize("read", ["answer_mean", "last", "letter"])
def test_directions_are_mean_differences_of_hidden_states(engine, layout, read) -> None:
    subject = engine(layout)
    fitted = fit(subject, read=read)
    expected = torch.zeros(3, subject.hidden_size, dtype=torch.float64)
    for pair in PAIRS:
        prompt, answers = subject.renderer.with_answers(
            pair.messages, [pair.positive, pair.negative], "chat"
        )
        for answer, sign in zip(answers, (1, -1), strict=True):
            ids = torch.tensor([[*prompt, *answer]])
            with torch.no_grad():
                hidden = subject.loaded.model(ids, output_hidden_states=True).hidden_states
            at = {"answer_mean": slice(None), "last": slice(-1, None), "letter": slice(0, 1)}[read]
            for layer in range(3):
                states = hidden[layer + 1][0, len(prompt) :][at]
                expected[layer] += sign * states.double().mean(0) / len(PAIRS)
    for layer in range(3):
        torch.testing.assert_close(
            fitted.tensors[f"l{layer}.direction"].double(), expected[layer], atol=1e-5, rtol=1e-4
        )
    assert fitted.info["num_pairs"] == 10 and fitted.info["num_questions"] == 5


@pytest.mark.parametrize("unit", ["raw", "unit", "relative"])
def test_strengths_agree_in_all_units_and_with_the_edit(engine, unit) -> None:
    fitted = fit(engine("llama"))
    steer = INTERVENTIONS.build("caa", {"layer": 1, "strength": -0.5, "unit": unit})
    strengths = steer.strengths({"vector": fitted})
    assert strengths[unit] == pytest.approx(-0.5)
    (edit,) = steer.treat({"vector": fitted}).edits
    added = edit.strength * edit.vector
    assert float(added.norm()) == pytest.approx(abs(strengths["unit"]), rel=1e-5)
    residual = float(fitted.tensors["l1.residual_norm"])
    assert float(added.norm()) / residual == pytest.approx(abs(strengths["relative"]), rel=1e-5)


def test_random_control_has_the_same_length_and_another_direction(engine) -> None:
    fitted = fit(engine("llama"))
    where = {"layer": 1, "strength": 0.7}
    like = {"name": "caa", "config": {**where, "layers": [0, 1, 2]}}
    (steered,) = INTERVENTIONS.build("caa", where).treat({"vector": fitted}).edits
    draws = [
        INTERVENTIONS.build("random", {**where, "like": like, "draw": draw})
        .treat({"vector": fitted})
        .edits[0]
        for draw in (0, 0, 1)
    ]
    for draw in draws:
        torch.testing.assert_close(draw.vector.norm(), steered.vector.norm())
        assert draw.strength == pytest.approx(steered.strength)
    assert torch.equal(draws[0].vector, draws[1].vector)
    cosine = torch.nn.functional.cosine_similarity(draws[0].vector, draws[2].vector, dim=0)
    assert abs(float(cosine)) < 0.7


def test_random_shares_the_artifact_of_what_it_is_like() -> None:
    caa = {"layer": 1, "layers": [0, 1], "strength": 0.3}
    like = {"name": "caa", "config": caa}
    random = INTERVENTIONS.build("random", {"layer": 1, "strength": 2.0, "like": like})
    assert random.needs()["vector"] == INTERVENTIONS.build("caa", caa).needs()["vector"]
    other = INTERVENTIONS.build("caa", {**caa, "strength": -1.0, "positions": "all"})
    assert other.needs()["vector"] == random.needs()["vector"]


def test_a_layer_that_was_not_fitted_and_a_zero_vector_are_named(engine) -> None:
    fitted = fit(engine("llama"))
    with pytest.raises(ConfigError, match=r"\[0, 1, 2\], not 3"):
        INTERVENTIONS.build("caa", {"layer": 3}).treat({"vector": fitted})
    flat = Fitted({"l1.direction": torch.zeros(4), "l1.residual_norm": torch.tensor(1.0)}, {})
    with pytest.raises(ConfigError, match="is zero"):
        INTERVENTIONS.build("caa", {"layer": 1}).treat({"vector": flat})
    caa = INTERVENTIONS.build("caa", {"layer": 1})
    with pytest.raises(DataError, match="at least 2"):
        caa.fit(FitContext.of_pairs(engine("llama"), PAIRS[:1], "chat", 0))


@pytest.mark.parametrize("strength", ["abc", "nan", float("inf")])
def test_a_strength_that_is_no_number_is_refused(strength) -> None:
    with pytest.raises(ConfigError, match="strength"):
        INTERVENTIONS.build("caa", {"layer": 1, "strength": strength})


def test_prompt_goes_in_front_of_a_system_turn() -> None:
    prompt_of = INTERVENTIONS.build("prompt", {"system": "Be brief."}).treat({}).prompt
    question = Message(role="user", content="Why?")
    assert [m.content for m in prompt_of((question,))] == ["Be brief.", "Why?"]
    merged = prompt_of((Message(role="system", content="You are X."), question))
    assert [m.content for m in merged] == ["Be brief.\n\nYou are X.", "Why?"]
