"""Self-certainty against its definition, token by token, on a tiny model."""

import math

import pytest
import torch
from as_they_come import listed

from trimtab.core.errors import DataError
from trimtab.core.spec import ModelSpec
from trimtab.core.types import Message
from trimtab.engine.engine import Engine
from trimtab.models.load import load_model, resolve
from trimtab.models.tiny import save_tiny
from trimtab.training.rerankers import energies
from trimtab.training.rerankers.uncertainty import Uncertainty

PAIRS = [("What is 2 + 3?", "5"), ("Why?", "It is so, and so it is: 7."), ("Why?", "")]


@pytest.fixture(scope="module", params=["llama", "gemma2"])
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Engine:
    folder = save_tiny(tmp_path_factory.mktemp("tiny") / request.param, request.param)
    return Engine(load_model(resolve(ModelSpec(id=str(folder), device="cpu"))))


def slow(engine: Engine, problem: str, text: str) -> float:
    """One pair at a time, from the model's own logits, in float64."""
    messages = (Message(role="user", content=problem),)
    if text:
        prompt, (answer,) = engine.renderer.with_answers(messages, [text], "chat")
    else:
        prompt, answer = engine.renderer.prompt(messages, "chat"), []
    with torch.no_grad():
        logits = engine.loaded.model(torch.tensor([[*prompt, *answer]])).logits[0].double()
    found = []
    for position in range(len(prompt) - 1, len(prompt) - 1 + max(1, len(answer))):
        p = torch.softmax(logits[position], dim=-1)
        size = len(p)
        found.append(sum(math.log(size * float(x)) for x in p) / size)
    return sum(found) / len(found)


def test_it_equals_its_definition_whatever_is_beside(engine: Engine) -> None:
    model = Uncertainty(engine)
    together = listed(model.energies([*PAIRS, PAIRS[0]]))
    for (problem, text), value in zip([*PAIRS, PAIRS[0]], together, strict=True):
        assert value == pytest.approx(slow(engine, problem, text), abs=2e-6)
        assert model.score(problem, [text]) == pytest.approx([value], abs=1e-6)
        assert value < 0, "only a uniform distribution is as uncertain as 0"


def test_batches_of_which_nothing_is_owed_are_left_out(engine: Engine, monkeypatch) -> None:
    model = Uncertainty(engine)
    monkeypatch.setattr(energies, "_CPU_BATCH_TOKENS", 64)
    pairs = [(f"Why {i}?", "so " * (i % 7)) for i in range(12)] + [("Why 3?", "so " * 3)]
    whole = dict(model.energies(pairs))
    computed: list[int] = []
    compute = model._batch

    def noting(rows):
        computed.append(len(rows))
        return compute(rows)

    monkeypatch.setattr(model, "_batch", noting)
    assert dict(model.energies(pairs)) == whole and whole[3] == whole[12]
    batches = len(computed)
    computed.clear()
    owed = [i in (0, 12) for i in range(13)]
    assert dict(model.energies(pairs, owed)) == {0: whole[0], 12: whole[12]}
    assert 0 < len(computed) <= 2 < batches


def test_a_pair_that_does_not_fit_is_told(engine: Engine) -> None:
    with pytest.raises(DataError, match="positions for"):
        Uncertainty(engine).score("Why?", ["so " * (engine.max_positions or 0)])
