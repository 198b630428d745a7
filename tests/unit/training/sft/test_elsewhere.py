"""A training's files for TRL and axolotl say what the training here does, or are refused."""

import json
from typing import Any

import pytest
import yaml

from trimtab.core.errors import ConfigError
from trimtab.core.spec import ModelSpec
from trimtab.core.types import Conversation, Message
from trimtab.training.sft.config import AdapterTraining
from trimtab.training.sft.elsewhere import files_for

MODEL = ModelSpec(id="owner/model", revision="abc", dtype="bfloat16")


def talk(name: str, *turns: str) -> Conversation:
    roles = ["user", "assistant"] * len(turns)
    said = (Message(role=role, content=text) for role, text in zip(roles, turns, strict=False))
    return Conversation(id=name, messages=tuple(said))


ROWS = [talk(str(i), f"ask {i}", f"say {i}") for i in range(100)]


def config(program: Any, rows: list[Conversation] = ROWS, **settings: Any) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(
        files_for(program, AdapterTraining(**settings), MODEL, rows)[f"{program}.yaml"]
    )
    return found


def test_trl_is_told_all_of_it() -> None:
    given = {"rank": 4, "alpha": 8, "batch": 12, "epochs": 2, "warmup": 0.1, "clip": 0.5}
    found = config("trl", layers=("q_proj", "v_proj"), rank_stabilised=True, **given)
    expected = {
        "model_name_or_path": "owner/model", "model_revision": "abc", "lora_r": 4, "lora_alpha": 8,
        "lora_target_modules": ["q_proj", "v_proj"], "use_rslora": True, "num_train_epochs": 2.0,
        "per_device_train_batch_size": 4, "gradient_accumulation_steps": 3, "warmup_steps": 2,
        "max_grad_norm": 0.5, "completion_only_loss": True, "bf16": True, "packing": False,
    }  # fmt: skip
    assert found.items() >= expected.items()
    assert config("trl")["lora_target_modules"] == ["all-linear"]
    assert config("trl", steps=7)["max_steps"] == 7 and "num_train_epochs" not in (
        config("trl", steps=7)
    )


def test_axolotl_is_told_all_of_it() -> None:
    found = config("axolotl", batch=7, schedule="constant", steps=9)
    expected = {
        "base_model": "owner/model", "revision_of_model": "abc", "lora_target_linear": True,
        "micro_batch_size": 1, "gradient_accumulation_steps": 7, "max_steps": 9,
        "lr_scheduler": "constant_with_warmup", "sequence_len": 2048, "sample_packing": False,
    }  # fmt: skip
    assert found.items() >= expected.items()
    assert found["datasets"][0]["roles_to_train"] == ["assistant"]


def test_rows_have_the_form_that_puts_the_loss_on_answers() -> None:
    train = AdapterTraining()
    files = files_for("trl", train, MODEL, ROWS, ROWS[:3])
    assert set(files) == {"trl.yaml", "train.jsonl"}
    rows = [json.loads(line) for line in files["train.jsonl"].splitlines()]
    assert rows[5] == {
        "prompt": [{"role": "user", "content": "ask 5"}],
        "completion": [{"role": "assistant", "content": "say 5"}],
    }
    longer = [*ROWS, talk("long", "a", "b", "c", "d")]
    files = files_for("trl", train, MODEL, longer)
    assert yaml.safe_load(files["trl.yaml"])["assistant_only_loss"] is True
    assert len(json.loads(files["train.jsonl"].splitlines()[-1])["messages"]) == 4
    files = files_for("axolotl", train, MODEL, ROWS, ROWS[:3])
    assert len(files["held_out.jsonl"].splitlines()) == 3
    assert yaml.safe_load(files["axolotl.yaml"])["test_datasets"][0]["path"] == "held_out.jsonl"


@pytest.mark.parametrize(
    ("settings", "model", "says"),
    [
        ({"floor": 0.1}, "owner/model", "ends at 0.1"),
        ({"alpha": 2.5}, "owner/model", "alpha 2.5"),
        ({"rendering": "plain"}, "owner/model", "chat template"),
        ({}, "bundled:some", "does not know the model"),
    ],
)
def test_what_another_program_can_not_do_is_refused(settings, model, says) -> None:
    with pytest.raises(ConfigError, match=says):
        files_for("trl", AdapterTraining(**settings), ModelSpec(id=model), ROWS)
