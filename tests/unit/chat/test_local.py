"""A model on this machine: voices equal to plain requests, words as they come, strengths."""

from pathlib import Path

import pytest
import torch
from random_adapters import random_adapter

from trimtab.chat.local import LocalPartner
from trimtab.chat.partner import Asked
from trimtab.chat.treatments import of_files, of_run
from trimtab.core.errors import ConfigError, DataError
from trimtab.core.spec import Component, ModelSpec
from trimtab.core.trigger import Trigger
from trimtab.core.types import Message, SamplingParams
from trimtab.engine.engine import Engine
from trimtab.engine.request import Edit, Request, Text
from trimtab.interventions.base import Treatment
from trimtab.models.load import load_model, resolve
from trimtab.models.lora import write_adapter
from trimtab.models.tiny import save_tiny
from trimtab.runs.plan.planner import Planner
from trimtab.runs.store.run import Run
from trimtab.vectors.file import checked
from trimtab.vectors.formats import export

TASK = Component(name="truthfulqa", config={"form": "generation", "limit": 4})
ASKED = (Message(role="user", content="Why is the sky blue?"),)
SAMPLING = SamplingParams(max_tokens=24, temperature=1.0)


@pytest.fixture(scope="module", params=["llama", "gpt2"])
def engine(request: pytest.FixtureRequest, tmp_path_factory) -> Engine:
    path = save_tiny(tmp_path_factory.mktemp(request.param), request.param)
    return Engine(load_model(resolve(ModelSpec(id=str(path), device="cpu"))))


@pytest.fixture
def partner(engine: Engine) -> LocalPartner:
    added = Edit(1, torch.full((engine.hidden_size,), 0.7), 1.0)
    adapter = random_adapter(engine.loaded)
    return LocalPartner(engine, {"both": Treatment(edits=(added,), adapter=adapter)})


def answers(partner: LocalPartner, voices: tuple[str, ...], strength: float = 1.0) -> dict:
    asked = Asked(dict.fromkeys(voices, ASKED), SAMPLING, 7, strength)
    return {voice: answer.text for voice, answer in partner.answers(asked, lambda _: None)}


def test_voices_are_what_plain_requests_are(engine: Engine, partner: LocalPartner) -> None:
    treatment = partner._treatments["both"]
    prompt = tuple(engine.renderer.prompt(ASKED, "chat"))
    for voice, (edits, adapter) in {
        "base": ((), None), "both": (treatment.edits, treatment.adapter),
    }.items():  # fmt: skip
        (plain,) = engine.run([Request(0, prompt, Text(SAMPLING, 7), edits, adapter)])
        assert answers(partner, (voice,))[voice] == plain.text.strip()
    assert partner.voices == ("both", "base")
    together = answers(partner, ("both", "base"))
    assert together == answers(partner, ("both",)) | answers(partner, ("base",))
    assert together["both"] != together["base"]
    assert answers(partner, ("both",), strength=0)["both"] == together["base"]


def test_the_words_of_one_voice_come_in_pieces(partner: LocalPartner) -> None:
    pieces: list[str] = []
    asked = Asked({"both": ASKED}, SAMPLING, 7)
    ((_, answer),) = partner.answers(asked, pieces.append)
    assert "".join(pieces) == answer.text and len(pieces) > 3


def test_a_base_model_ends_where_it_would_ask_itself(tmp_path: Path) -> None:
    path = save_tiny(tmp_path, "llama")
    loaded = load_model(resolve(ModelSpec(id=str(path), device="cpu")))
    loaded.renderer.tokenizer.chat_template = None
    asked = Asked({"base": ASKED}, SAMPLING, 0)
    partner = LocalPartner(Engine(loaded), {})
    request = partner._request("base", ASKED, asked, partner._sampling(SAMPLING), None)
    assert isinstance(request.want, Text) and request.want.sampling.stop == ("\nQ:",)


def test_a_conversation_that_is_too_long_is_told(partner: LocalPartner) -> None:
    asked = Asked({"base": (Message(role="user", content="so " * 9000),)}, SAMPLING, 0)
    with pytest.raises(ConfigError, match=r"tokens; .* the model has .*/reset"):
        list(partner.answers(asked, lambda _: None))


def test_files_act_as_they_are(engine: Engine, tmp_path: Path) -> None:
    adapter = random_adapter(engine.loaded)
    write_adapter(adapter, tmp_path / "adapter", "some/base")
    vector = torch.arange(1.0, engine.hidden_size + 1)
    export(checked({1: vector}, {"num_layers": 4}, "test"), "native", tmp_path / "vector")
    found = of_files(engine, tmp_path / "adapter", tmp_path / "vector")
    assert found.adapter is not None and found.adapter.factors.keys() == adapter.factors.keys()
    for name, factor in adapter.factors.items():
        read = found.adapter.factors[name]
        change = read.scaling * read.up @ read.down
        torch.testing.assert_close(change, factor.scaling * factor.up @ factor.down)
    (edit,) = found.edits
    assert (edit.layer, edit.strength) == (1, 1.0) and torch.equal(edit.vector, vector)
    export(checked({9: vector}, {"num_layers": 12}, "test"), "native", tmp_path / "deep")
    with pytest.raises(DataError, match="blocks up to 9; the model has"):
        of_files(engine, None, tmp_path / "deep")


def test_conditions_of_a_run_and_its_trigger(tmp_path: Path) -> None:
    model = save_tiny(tmp_path / "model", "llama")
    planner = Planner("test", "test", ModelSpec(id=str(model), device="cpu"), fit_on=TASK)
    trigger = Trigger(opening="<A>", closing="<B>")
    context = {"trigger": trigger.model_dump()}
    for name, acting in {
        "baseline": Component(name="none"),
        "brief": Component(name="prompt", config={"system": "Be brief."}),
        "triggered": Component(name="context", config=context),
    }.items():
        role = "baseline" if name == "baseline" else "treatment"
        planner.add_cell(condition=name, role=role, task=TASK, split="test", intervention=acting)
    planned = planner.finish()
    run = Run.create(tmp_path / "run", {}, planned.plan, planned.data.folders())
    found = of_run(run, ["brief"])
    assert found.model.id == str(model) and found.trigger == trigger
    assert found.treatments["brief"].prompt(ASKED)[0].content == "Be brief."
    assert of_run(run, []).treatments == {}
    with pytest.raises(ConfigError, match="Did you mean 'brief'"):
        of_run(run, ["breif"])
