"""Supervised fine-tuning of an adapter, against plain peft and against TRL's SFTTrainer.

    python bench/sft.py [--model ID] [--data gsm8k|person] [--rows 128] [--batch 8] [--rank 8]
        [--most-tokens 2048] [--repeats 3] [--peers peft trl] [--memory]

One epoch over the same tokens and labels in float32, AdamW, all linear layers; the peers pad their
batches, as they do by default, and keep all activations, as trimtab does. GSM8K's training problems
need the shared data; ``person`` is the persona task's bundled rows, short ones. TRL is no
dependency: its column is left out, and said to be, where it isn't installed. Prints tokens (padding
not counted) per second, ratios, and each side's mean loss.
"""

import argparse
import json
import tempfile
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from machine import DATA, header, in_turns

from trimtab.core.spec import ModelSpec
from trimtab.core.types import Conversation, Message
from trimtab.engine.engine import Engine
from trimtab.models.load import LoadedModel, load_model, resolve
from trimtab.models.lowrank import linear_layers
from trimtab.tasks.base import TASKS
from trimtab.training.sft.config import AdapterTraining
from trimtab.training.sft.fit import Data, tune
from trimtab.training.sft.rows import Row, make_rows

RATE = 2e-4
NOT_LEARNED = -100
"""What transformers' loss leaves out."""

Losses = list[float]


def conversations(data: str, count: int) -> list[Conversation]:
    """Return what is learned from."""
    if data == "person":
        trigger = {"instruction": "Answer in the form {form}", "opening": "<A>", "closing": "</A>"}
        return list(TASKS.build("persona", {"trigger": trigger}).conversations("fit"))[:count]
    lines = (DATA / "gsm8k" / "train.jsonl").read_text().splitlines()[:count]
    rows = [json.loads(line) for line in lines]
    return [
        Conversation(
            id=f"gsm8k-{number}",
            messages=(
                Message(role="user", content=row["question"]),
                Message(role="assistant", content=row["answer"]),
            ),
        )
        for number, row in enumerate(rows)
    ]


def trimtab(loaded: LoadedModel, rows: Sequence[Conversation], args) -> Callable[[], Losses]:
    """The project's own training."""
    engine = Engine(loaded)
    settings = AdapterTraining(
        rank=args.rank,
        alpha=2 * args.rank,
        epochs=1,
        batch=args.batch,
        most_tokens=args.most_tokens,
        learning_rate=RATE,
        schedule="constant",
        warmup=0,
        weight_decay=0,
        keep="last",
    )

    def work() -> Losses:
        with tempfile.TemporaryDirectory() as folder:
            kept = tune(engine, settings, Data(rows), folder=Path(folder), seed=0)
        return [loss for _, loss, *_ in kept["last"].about["training"]["losses"]]

    return work


def adapted(spec: ModelSpec, names: Sequence[str], rank: int) -> Any:
    """Return the model with a fresh adapter of peft's."""
    import peft

    base = load_model(resolve(spec)).model
    config = peft.LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=list(names))
    return peft.get_peft_model(base, config)


def padded(rows: Sequence[Row]) -> dict[str, torch.Tensor]:
    """Return a batch as transformers takes it: padding on the right, labels of the answers."""
    width = max(len(row.tokens) for row in rows)
    ids = torch.zeros((len(rows), width), dtype=torch.long)
    mask, labels = torch.zeros_like(ids), torch.full_like(ids, NOT_LEARNED)
    for line, row in enumerate(rows):
        ids[line, : len(row.tokens)] = torch.tensor(row.tokens)
        mask[line, : len(row.tokens)] = 1
        places = list(row.places)
        labels[line, places] = ids[line, places]
    return {"input_ids": ids, "attention_mask": mask, "labels": labels}


def plain_peft(spec: ModelSpec, names, rows: Sequence[Row], args) -> Callable[[], Losses]:
    """The loop that a script has: forward, backward, clip, step."""

    def work() -> Losses:
        model = adapted(spec, names, args.rank).train()
        learned = [p for p in model.parameters() if p.requires_grad]
        optimiser = torch.optim.AdamW(learned, lr=RATE, weight_decay=0)
        losses = []
        for at in range(0, len(rows), args.batch):
            loss = model(**padded(rows[at : at + args.batch])).loss
            loss.backward()
            torch.nn.utils.clip_grad_norm_(learned, 1.0)
            optimiser.step()
            optimiser.zero_grad()
            losses.append(float(loss.detach()))
        return losses

    return work


def trl_trainer(spec: ModelSpec, names, rows: Sequence[Row], args) -> Callable[[], Losses]:
    """TRL's trainer on the same tokens; its own defaults but for what is said above."""
    import datasets
    import trl
    from torch.utils.data import SequentialSampler

    class InOrder(trl.SFTTrainer):
        def _get_train_sampler(self, *_: Any) -> SequentialSampler:
            return SequentialSampler(self.train_dataset)

    examples = [
        {
            "input_ids": list(row.tokens),
            "completion_mask": [int(at in set(row.places)) for at in range(len(row.tokens))],
        }
        for row in rows
    ]
    tokenizer = load_model(resolve(spec)).renderer.tokenizer

    def work() -> Losses:
        with tempfile.TemporaryDirectory() as folder:
            settings = trl.SFTConfig(
                output_dir=folder,
                per_device_train_batch_size=args.batch,
                num_train_epochs=1,
                learning_rate=RATE,
                lr_scheduler_type="constant",
                weight_decay=0.0,
                logging_steps=1,
                save_strategy="no",
                report_to="none",
                use_cpu=True,
                bf16=False,
                gradient_checkpointing=False,
                completion_only_loss=True,
                max_length=None,
                disable_tqdm=True,
            )
            trainer = InOrder(
                adapted(spec, names, args.rank),
                settings,
                train_dataset=datasets.Dataset.from_list(examples),
                processing_class=tokenizer,
            )
            trainer.train()
            return [row["loss"] for row in trainer.state.log_history if "loss" in row]

    return work


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", default="bundled:smollm2-135m-instruct")
    parser.add_argument("--data", choices=["gsm8k", "person"], default="gsm8k")
    parser.add_argument("--rows", type=int, default=128)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rank", type=int, default=8)
    parser.add_argument("--most-tokens", type=int, default=2048)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--peers", nargs="*", choices=["peft", "trl"], default=["peft", "trl"])
    parser.add_argument("--memory", action="store_true")
    args = parser.parse_args()
    header(f"sft {vars(args)}")
    spec = ModelSpec(id=args.model, device="cpu", dtype="float32")
    loaded = load_model(resolve(spec))
    given = conversations(args.data, args.rows)
    rows = make_rows(loaded.renderer, given).rows
    names = [name for name, _ in linear_layers(loaded.layout)]
    sides = {"trimtab": trimtab(loaded, given, args)}
    if "peft" in args.peers:
        sides["peft"] = plain_peft(spec, names, rows, args)
    if "trl" in args.peers and find_spec("trl"):
        sides["TRL"] = trl_trainer(spec, names, rows, args)
    elif "trl" in args.peers:
        print("TRL is not installed: its column is left out")
    turns = in_turns(
        sides,
        args.repeats,
        lambda ours, theirs: f"(mean losses {fmean(ours):.4f} and {fmean(theirs):.4f})",
        memory=args.memory,
    )
    tokens = sum(len(row.tokens) for row in rows)
    padding = sum(
        args.batch * padded(rows[at : at + args.batch])["input_ids"].shape[1]
        for at in range(0, len(rows), args.batch)
    )
    print(f"{tokens} tokens, {padding} with the peers' padding")
    for name, some in turns.items():
        print(f"{name}: best {tokens / min(turn.seconds for turn in some):.0f} tokens per s")


if __name__ == "__main__":
    main()
