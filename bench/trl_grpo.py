"""TRL's GRPO with a group of two, on the prompts of a run: the third column of ``lockstep.py``.

    PYTHON bench/trl_grpo.py FILE

``lockstep.py`` calls ``column``, which writes model and prompts and has ``PYTHON``, of an
environment that has TRL and needs nothing of this project, train on them. ``FILE`` is JSON:
``model`` (a folder that transformers reads), ``prompts``, ``targets`` (the number that answers
each), ``rounds``, ``answer_tokens``, ``learning_rate``, ``rank`` and ``alpha``. Prints JSON:
seconds of each round by the clock and of the processor, tokens written in a round, the versions.

A round is one prompt, two answers, their advantage within the group, one update of the adapter,
float32. It leaves out: the grade and what hangs on it (two turns, rewards by the own grade, their
credit), a single answer (TRL refuses a group of one), a running baseline, the divergence from the
base (``beta`` is 0), and rows of several runs in one batch: a trainer has one adapter.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any


def column(python: str, engine: Any, run: Any, ours: float) -> str:
    """Return what TRL takes for the rounds of ``run``, beside ``ours`` rounds of a run per second.

    Args:
        python: Interpreter of an environment that has TRL.
        engine: Of the base, which is written where TRL reads it.
        run: Its items, and its settings.
        ours: What lockstep does.
    """
    from trimtab.training.reinforce.dialogue import Dialogue

    settings, tokenizer = run.settings, engine.loaded.tokenizer
    dialogue = Dialogue(engine.renderer, run.rendering, settings.request)
    with tempfile.TemporaryDirectory() as folder:
        engine.loaded.model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        given = {
            "model": folder,
            "prompts": [tokenizer.decode(dialogue.task(sample)) for sample in run.samples],
            "targets": [sample.target for sample in run.samples],
            **settings.model_dump(include={"rounds", "answer_tokens", "learning_rate"}),
            **settings.model_dump(include={"rank", "alpha"}),
        }
        file = Path(folder) / "given.json"
        file.write_text(json.dumps(given))
        without = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
        argv = [python, str(Path(__file__).resolve()), str(file)]
        done = subprocess.run(argv, capture_output=True, text=True, env=without, check=False)
    if done.returncode:
        return f"TRL's GRPO failed: {(done.stderr.splitlines() or ['?'])[-1]}"
    found = json.loads(done.stdout.splitlines()[-1])
    count = len(found["seconds"])
    rate, each = count / sum(found["seconds"]), sum(found["processor_seconds"]) / count
    return (
        f"TRL's GRPO, group 2 {rate:7.2f} rounds per second ({each:.2f} s of the processor each; "
        f"{found['versions']}), two answers and no grade in each, {found['tokens']:.1f} tokens; "
        f"lockstep is {ours / rate:.2f} times as fast by rounds of a run"
    )


def reward(completions: list[str], target: list[str], **_: Any) -> list[float]:
    """Return 1 for an answer whose last number is right, else 0."""
    numbers = [re.findall(r"-?\d+", text) for text in completions]
    return [float(bool(n) and n[-1] == t) for n, t in zip(numbers, target, strict=True)]


def main() -> None:
    """Train, and print what it took."""
    import datasets
    import peft
    import torch
    import transformers
    import trl

    class Clock(transformers.TrainerCallback):
        """Takes the processor's time of each round, which neighbours change less."""

        began, seconds = 0.0, ()

        def on_step_begin(self, *_: Any, **__: Any) -> None:
            self.began = time.process_time()

        def on_step_end(self, *_: Any, **__: Any) -> None:
            self.seconds = (*self.seconds, time.process_time() - self.began)

    clock = Clock()
    given = json.loads(Path(sys.argv[1]).read_text())
    transformers.set_seed(0)
    model = transformers.AutoModelForCausalLM.from_pretrained(given["model"], dtype=torch.float32)
    tokenizer = transformers.AutoTokenizer.from_pretrained(given["model"])
    with tempfile.TemporaryDirectory() as folder:
        settings = trl.GRPOConfig(
            output_dir=folder,
            num_generations=2,
            per_device_train_batch_size=2,
            gradient_accumulation_steps=1,
            max_steps=given["rounds"],
            max_completion_length=given["answer_tokens"],
            temperature=1.0,
            top_p=1.0,
            top_k=0,
            beta=0.0,
            learning_rate=given["learning_rate"],
            lr_scheduler_type="constant",
            max_grad_norm=1.0,
            gradient_checkpointing=False,
            use_cpu=True,
            bf16=False,
            save_strategy="no",
            logging_steps=1,
            report_to="none",
            disable_tqdm=True,
        )
        rows = {"prompt": given["prompts"], "target": given["targets"]}
        trainer = trl.GRPOTrainer(
            model,
            reward_funcs=reward,
            args=settings,
            train_dataset=datasets.Dataset.from_dict(rows),
            processing_class=tokenizer,
            callbacks=[clock],
            peft_config=peft.LoraConfig(
                r=given["rank"], lora_alpha=given["alpha"], target_modules="all-linear"
            ),
        )
        trainer.train()
    rows = [row for row in trainer.state.log_history if "step_time" in row]
    lengths = [2 * row["completions/mean_length"] for row in rows]
    found = {
        "seconds": [row["step_time"] for row in rows],
        "processor_seconds": clock.seconds,
        "tokens": sum(lengths) / len(lengths),
        "versions": f"trl {trl.__version__}, transformers {transformers.__version__}",
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
