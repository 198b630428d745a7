"""Fine-tuned judges: the published prompts, to the letter, and P(" yes") read off a real model."""

from pathlib import Path

import pytest
import torch

from trimtab.clients.scripted import ScriptedChat
from trimtab.core.errors import ConfigError, JudgeError
from trimtab.core.spec import ModelSpec
from trimtab.engine.chat import LocalChat
from trimtab.engine.engine import Engine
from trimtab.judges.base import JUDGES
from trimtab.models.load import load_model, resolve
from trimtab.models.tiny import save_tiny


def make(rubric: str, **config):
    return JUDGES.build("rubric", {"rubric": rubric, **config})


@pytest.mark.parametrize(("name", "end"), [("truth", "True:"), ("info", "Helpful:")])
def test_the_prompt_is_the_published_one(name, end, text_item) -> None:
    judge = make(f"{name}_finetuned")
    seen = ScriptedChat([0.7])
    (verdict,) = judge.verdicts([text_item(' It is "5".\n', question="What is it?")], seen)
    assert seen.seen[0][0].content == f'Q: What is it?\nA: It is "5".\n{end}'
    assert verdict.values == {name: 1.0, f"{name}_p": 0.7}
    assert [m.name for m in judge.metrics] == [name, f"{name}_p"]
    assert judge.model is not None and f"{name}-judge-llama2-7B" in judge.model.id
    assert len(judge.model.revision) == 40


def test_an_empty_answer_is_fed_as_nothing(text_item) -> None:
    seen = ScriptedChat([0.5])
    (verdict,) = make("truth_finetuned").verdicts([text_item("", question="Why?")], seen)
    assert seen.seen[0][0].content == "Q: Why?\nA: \nTrue:"
    assert verdict.values["truth"] == 0.0, "0.5 is not above the threshold"


def test_p_yes_is_the_models_own_next_token_probability(tmp_path: Path, text_item) -> None:
    save_tiny(tmp_path / "judge", "llama")
    loaded = load_model(resolve(ModelSpec(id=str(tmp_path / "judge"), device="cpu")))
    judge = make("truth_finetuned", model=str(tmp_path / "judge"))
    items = [text_item(text, question="Why?") for text in ("Because.", "", "x " * 30)]
    verdicts = judge.verdicts(items, LocalChat(Engine(loaded)))
    word = loaded.tokenizer(" yes", add_special_tokens=False).input_ids[0]
    for item, verdict in zip(items, verdicts, strict=True):
        text = f"Q: Why?\nA: {item.completion.text.strip()}\nTrue:"
        ids = loaded.renderer.encode(text)
        if loaded.tokenizer("x").input_ids[0] == loaded.tokenizer.bos_token_id:
            ids = [loaded.tokenizer.bos_token_id, *ids]
        with torch.no_grad():
            logits = loaded.model(torch.tensor([ids])).logits[0, -1].double()
        assert verdict.values["truth_p"] == pytest.approx(logits.softmax(-1)[word].item(), rel=1e-4)


def test_there_is_nothing_to_parse_and_no_script_will_do(text_item) -> None:
    with pytest.raises(ConfigError, match="mode: parsed"):
        make("truth_finetuned", mode="parsed")
    with pytest.raises(JudgeError, match="no language model"):
        make("truth_finetuned").verdicts([text_item("a")], None)
