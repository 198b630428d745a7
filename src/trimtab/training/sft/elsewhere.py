"""A training as other programs do it: TRL's ``trl sft --config`` and axolotl's ``axolotl train``.

Rows, labels, adapter, order of magnitude of the steps and schedule are those of the training here.
What differs is said in the file: both average the loss over a device's batch of labels and shuffle
with random numbers of their own, so the weights come out alike and not equal.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal

import yaml

from trimtab.core.errors import ConfigError
from trimtab.core.spec import ModelSpec
from trimtab.core.types import Conversation
from trimtab.training.sft.config import AdapterTraining

Program = Literal["trl", "axolotl"]
PROGRAMS: tuple[Program, ...] = ("trl", "axolotl")

ROWS, HELD_OUT, OUTPUT = "train.jsonl", "held_out.jsonl", "out"
_HERE = ("bundled:", "preset:")
"""Names of models that mean something to this package alone."""
_SCHEDULES = {"cosine": "cosine", "linear": "linear", "constant": "constant_with_warmup"}


def files_for(
    program: Program,
    train: AdapterTraining,
    model: ModelSpec,
    rows: Sequence[Conversation],
    held_out: Sequence[Conversation] = (),
) -> dict[str, str]:
    """Return the text of each file by its name.

    Args:
        program: For which.
        train: The training; its ``data`` is not read.
        model: The base.
        rows: What is learned from.
        held_out: What the loss is watched on; TRL's command has no place for it.

    Raises:
        ConfigError: The training does what the program has no setting for.
    """
    if train.floor:
        raise ConfigError(
            f"The rate ends at {train.floor:g} of its highest one, which {program} has no setting "
            "for.",
            hint="Train with `floor: 0`.",
        )
    if train.steer_while_training is not None:
        raise ConfigError(
            f"A vector acts while this adapter learns, which {program} has no setting for.",
            hint="Train without `steer_while_training`, or train here.",
        )
    if model.id.startswith(_HERE):
        raise ConfigError(
            f"{program} does not know the model {model.id!r}.",
            hint="Give the experiment the model's hub id or folder.",
        )
    if train.rendering == "plain":
        raise ConfigError(
            f"Conversations are rendered without a chat template, which {program} needs.",
            hint="Take a base model with a chat template.",
        )
    if program == "trl":  # its command reads one file, so nothing is watched
        config = _trl(train, model, rows)
        lines = _prompts if _answered_last(rows) else _messages
    else:
        config = _axolotl(train, model, len(rows), bool(held_out))
        lines = _messages
    found = {
        f"{program}.yaml": _COMMENTS[program] + yaml.safe_dump(config, sort_keys=False),
        ROWS: "".join(lines(rows)),
    }
    watched = held_out if program == "axolotl" else ()
    return found | ({HELD_OUT: "".join(lines(watched))} if watched else {})


_COMMENTS = {
    "trl": "# trl sft --config trl.yaml, in this folder. The loss is on the answers alone.\n",
    "axolotl": "# axolotl train axolotl.yaml, in this folder. The loss is on the answers alone.\n",
}


def _trl(train: AdapterTraining, model: ModelSpec, rows: Sequence[Conversation]) -> dict[str, Any]:
    only = "completion_only_loss" if _answered_last(rows) else "assistant_only_loss"
    return {
        "model_name_or_path": model.id,
        **({"model_revision": model.revision} if model.revision else {}),
        "dtype": model.dtype,
        "datasets": [{"path": "json", "data_files": ROWS, "split": "train"}],
        "output_dir": OUTPUT,
        "use_peft": True,
        "lora_r": train.rank,
        "lora_alpha": _whole(train.alpha),
        "lora_dropout": train.dropout,
        "lora_target_modules": ["all-linear"] if train.layers == "all" else list(train.layers),
        "use_rslora": train.rank_stabilised,
        only: True,
        "max_length": train.max_tokens,
        "packing": False,
        **_steps(train),
        **_rates(train, len(rows)),
        "bf16": model.dtype == "bfloat16",
        "seed": train.seed,
    }


def _axolotl(
    train: AdapterTraining, model: ModelSpec, num_rows: int, watched: bool
) -> dict[str, Any]:
    form = {
        "ds_type": "json",
        "type": "chat_template",
        "field_messages": "messages",
        "message_property_mappings": {"role": "role", "content": "content"},
        "roles_to_train": ["assistant"],
        "train_on_eos": "turn",
    }
    every = {"lora_target_linear": True}
    some = {"lora_target_modules": list(train.layers)}
    steps = _steps(train)
    return {
        "base_model": model.id,
        **({"revision_of_model": model.revision} if model.revision else {}),
        "chat_template": "tokenizer_default",
        "datasets": [{"path": ROWS, **form}],
        **({"test_datasets": [{"path": HELD_OUT, "split": "train", **form}]} if watched else {}),
        "output_dir": OUTPUT,
        "adapter": "lora",
        "lora_r": train.rank,
        "lora_alpha": _whole(train.alpha),
        "lora_dropout": train.dropout,
        **(every if train.layers == "all" else some),
        "peft_use_rslora": train.rank_stabilised,
        "sequence_len": train.max_tokens,
        "sample_packing": False,
        "micro_batch_size": steps.pop("per_device_train_batch_size"),
        "gradient_accumulation_steps": steps.pop("gradient_accumulation_steps"),
        **({"num_epochs": steps.pop("num_train_epochs")} if "num_train_epochs" in steps else {}),
        **steps,
        "optimizer": "adamw_torch",
        **{_AXOLOTL.get(name, name): value for name, value in _rates(train, num_rows).items()},
        "bf16": model.dtype == "bfloat16",
        "seed": train.seed,
    }


_AXOLOTL = {"lr_scheduler_type": "lr_scheduler"}


def _steps(train: AdapterTraining) -> dict[str, Any]:
    micro = next(size for size in (4, 2, 1) if train.batch % size == 0)
    long = {"num_train_epochs": train.epochs} if train.steps is None else {"max_steps": train.steps}
    return {
        **long,
        "per_device_train_batch_size": micro,
        "gradient_accumulation_steps": train.batch // micro,
    }


def _rates(train: AdapterTraining, num_rows: int) -> dict[str, Any]:
    total = train.loop().num_steps(num_rows)
    return {
        "learning_rate": train.learning_rate,
        "lr_scheduler_type": _SCHEDULES[train.schedule],
        "warmup_steps": math.ceil(train.warmup * total),
        "weight_decay": train.weight_decay,
        "adam_beta1": train.betas[0],
        "adam_beta2": train.betas[1],
        "max_grad_norm": train.clip,
    }


def _whole(alpha: float) -> int:
    """Return alpha as an integer, which both programs want; raise ConfigError if it is none."""
    if not float(alpha).is_integer():
        raise ConfigError(
            f"alpha {alpha:g} is no whole number, and other programs take no other.",
            hint="Train with a whole one.",
        )
    return int(alpha)


def _answered_last(rows: Iterable[Conversation]) -> bool:
    """Whether every conversation holds one answer, at its end."""
    return all(
        [message.role for message in row.messages].index("assistant") == len(row.messages) - 1
        for row in rows
    )


def _messages(rows: Iterable[Conversation]) -> Iterator[str]:
    for row in rows:
        yield _line({"messages": [message.model_dump() for message in row.messages]})


def _prompts(rows: Iterable[Conversation]) -> Iterator[str]:
    for row in rows:
        *asked, answer = (message.model_dump() for message in row.messages)
        yield _line({"prompt": asked, "completion": [answer]})


def _line(row: dict[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=False) + "\n"
