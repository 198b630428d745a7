"""Does steering help a model that was fine-tuned on the task? Its own fit split, then a search.

    python bench/finetuned.py [--model ID] [--epochs 3] [--out FOLDER] [--trials 42]

Trains an adapter on the right answers of the fit split of made-up arithmetic, merges it into the
weights, and searches the merged model as configs/gsm8k_search/laptop.yaml searches the embedded
one. What is expected: the best strength is 0, or can't be told from it. Prints accuracy before and
after training (select split), and what the search found.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml
from machine import header

from trimtab.tasks.base import TASKS

TASK: dict[str, Any] = {
    "name": "arithmetic",
    "forms": ["sum"],
    "steps": 1,
    "count": 1200,
    "fractions": {"fit": 0.27, "select": 0.43, "test": 0.3},
    "max_tokens": 12,
}
LAPTOP = Path(__file__).parents[1] / "configs" / "gsm8k_search" / "laptop.yaml"


def main() -> None:
    """Train, merge and search."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", default="bundled:smollm2-135m-instruct")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--trials", type=int, default=42)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    header(f"finetuned {vars(args)}")
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.out or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        tuned = train(folder, args.model, args.epochs)
        search(folder, tuned, args.trials)


def train(folder: Path, model: str, epochs: int) -> Path:
    """Return the folder of the merged model."""
    data, merged = folder / "answers.jsonl", folder / "tuned"
    task = TASKS.build("arithmetic", {key: TASK[key] for key in TASK if key != "name"})
    with data.open("w") as file:
        for sample in task.samples("fit"):
            turns = [turn.model_dump() for turn in sample.messages]
            answer = {"role": "assistant", "content": str(sample.target)}
            file.write(json.dumps({"id": sample.id, "messages": [*turns, answer]}) + "\n")
    experiment = {
        "recipe": "steer",
        "name": "tuned",
        "model": model,
        "tasks": {"sums": TASK},
        "split": "select",
        "controls": {"prompt": None, "random_draws": 0},
        "conditions": {
            "tuned": {
                "name": "adapter",
                "train": {"data": str(data.resolve()), "preset": "cpu", "epochs": epochs},
            }
        },
    }
    run = trimtab_run(folder, "train", experiment)
    if not merged.is_dir():
        command = ["adapters", "export", str(run), "--condition", "tuned", "--as", "merged"]
        trimtab(*command, "--out", str(merged))
    measured = json.loads((run / "summary.json").read_text())["measures"]["sums"]["conditions"]
    for name, found in measured.items():
        print(f"{name}: {found['metrics']['correct']}", flush=True)
    return merged


def search(folder: Path, model: Path, trials: int) -> None:
    """Search the tuned model and print what was found."""
    experiment = yaml.safe_load(LAPTOP.read_text())
    experiment |= {"name": "finetuned", "model": str(model.resolve()), "task": TASK}
    experiment["search"]["trials"] = trials
    run = trimtab_run(folder, "search", experiment)
    print(json.loads((run / "summary.json").read_text())["finding"])
    print((run / "report" / "search" / "results.json").read_text())


def trimtab_run(folder: Path, name: str, experiment: dict[str, Any]) -> Path:
    """Return the folder of a finished run."""
    path, out = folder / f"{name}.yaml", folder / name
    path.write_text(yaml.safe_dump(experiment))
    trimtab(*(["resume", str(out)] if out.is_dir() else ["run", str(path), "--out", str(out)]))
    return out


def trimtab(*command: str) -> None:
    """Call the command line."""
    subprocess.run([sys.executable, "-m", "trimtab", *command], check=True)


if __name__ == "__main__":
    main()
