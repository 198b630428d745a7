"""The vector of an adapter, and projections, against plain hooks on what peft loads."""

from pathlib import Path

import pytest
import torch
from random_adapters import random_adapter
from transformers import AutoModelForCausalLM

from trimtab.core.spec import ModelSpec
from trimtab.core.types import ContrastPair, Message
from trimtab.engine.engine import Engine
from trimtab.engine.request import Edit
from trimtab.interventions.base import INTERVENTIONS
from trimtab.models.load import load_model, resolve
from trimtab.models.lora import read_adapter, write_adapter
from trimtab.models.tiny import save_tiny
from trimtab.steering.fitted import FitContext, of_engine
from trimtab.steering.projections import Asked, Projector

peft = pytest.importorskip("peft", reason="peft is not installed")

# peft asks transformers by a name that it is about to drop
pytestmark = pytest.mark.filterwarnings(
    "ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"
)

PAIRS = [
    ContrastPair(
        id=f"p{i}",
        question_id=f"q{i // 2}",
        messages=(Message(role="user", content=f"Is number {i} true?"),),
        positive=f"Yes it is {i}",
        negative=f"No, never {i * 3}",
    )
    for i in range(6)
]


@pytest.fixture(params=["llama", "gemma3"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Engine:
    path = save_tiny(tmp_path / request.param, request.param)
    return Engine(load_model(resolve(ModelSpec(id=str(path), device="cpu"))))


@pytest.fixture
def source(engine: Engine, tmp_path: Path) -> Path:
    write_adapter(random_adapter(engine.loaded, seed=1, size=0.2), tmp_path / "tuned")
    return tmp_path / "tuned"


def outputs(model, engine: Engine, ids: list[int], layer: int, added=None) -> torch.Tensor:
    """Return the outputs [T, H] of a block of a plain model, read by a forward hook."""
    found = []

    def hook(_module, _args, output):
        h = output[0] if isinstance(output, tuple) else output
        h = h if added is None else h + added
        found.append(h[0].double())
        return (h, *output[1:]) if isinstance(output, tuple) else h

    block = model.get_submodule(engine.loaded.layout.block_names[layer])
    handle = block.register_forward_hook(hook)
    try:
        with torch.no_grad():
            model(torch.tensor([ids]))
    finally:
        handle.remove()
    return found[0]


def plain(engine: Engine, source: Path | None):
    folder = engine.loaded.resolved.spec.id
    base = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    return base if source is None else peft.PeftModel.from_pretrained(base, source).base_model.model


@pytest.mark.parametrize("strength", [1.0, -0.5])
def test_it_is_the_mean_difference_of_block_outputs(engine, source, strength) -> None:
    adapter = {"name": "adapter", "source": str(source), "strength": strength}
    built = INTERVENTIONS.build("adapter_vector", {"adapter": adapter, "layer": 2, "layers": [0]})
    need = built.needs()["vector"]
    reading = INTERVENTIONS.build("adapter", {"source": str(source)})
    made = {"adapter": reading.fit(FitContext(of_engine(engine), 0))}
    given = FitContext.of_pairs(engine, PAIRS, "chat", seed=0)
    fitting = INTERVENTIONS.build(need.component.name, need.component.config)
    fitted = fitting.fit(FitContext(given.model, 0, given.data, made=made))

    base, tuned = plain(engine, None), plain(engine, source)
    for module in tuned.modules():
        if isinstance(getattr(module, "scaling", None), dict):
            module.scaling = {name: strength * value for name, value in module.scaling.items()}
    for layer in (0, 2):
        changes = []
        for pair in PAIRS:
            prompt, answers = engine.renderer.with_answers(
                pair.messages, [pair.positive, pair.negative], "chat"
            )
            for answer in answers:
                ids = [*prompt, *answer]
                before, after = (
                    outputs(model, engine, ids, layer)[len(prompt) :] for model in (base, tuned)
                )
                changes.append((after - before).mean(0))
        expected = torch.stack(changes).mean(0)
        found = fitted.tensors[f"l{layer}.direction"].double()
        assert (found - expected).abs().max() <= 1e-5 * expected.abs().max().clamp(min=1)
        assert fitted.info["layers"][str(layer)]["vector_norm"] == pytest.approx(
            float(expected.norm()), rel=1e-4
        )
    (edit,) = built.treat({"vector": fitted}).edits
    assert edit.layer == 2 and torch.equal(edit.vector, fitted.tensors["l2.direction"])


def test_a_projection_is_read_as_the_answer_was_written(engine, source) -> None:
    generator = torch.Generator().manual_seed(2)
    vector, added = (torch.randn(engine.hidden_size, generator=generator) for _ in range(2))
    said = "Never more."
    asked = {
        "base": Asked(PAIRS[0].messages, "chat"),
        "tuned": Asked(PAIRS[0].messages, "chat", adapter=read_adapter(source)),
        "steered": Asked(PAIRS[1].messages, "chat", edits=(Edit(0, added, 0.5, "all"),)),
        "endless": Asked((Message(role="user", content="no " * 5000),), "chat"),
    }
    rows = [(one, said) for one in asked.values()]
    found = dict(Projector(engine, 1, vector).projections(rows))
    assert found[3] is None
    for number, name in enumerate(("base", "tuned")):
        prompt, (answer,) = engine.renderer.with_answers(PAIRS[0].messages, [said], "chat")
        model = plain(engine, source if name == "tuned" else None)
        states = outputs(model, engine, [*prompt, *answer], 1)[len(prompt) :]
        expected = float(states.mean(0) @ vector.double() / vector.double().norm())
        assert found[number] == pytest.approx(expected, abs=1e-5)
    assert found[0] != found[1] != found[2]
    partly = dict(Projector(engine, 1, vector).projections(rows, [False, True, False, False]))
    assert partly == {1: found[1]}
