"""Trials of a search in batches against one at a time: the same trials, the same rungs.

    python bench/search.py [--task arithmetic|gsm8k] [--trials 18] [--parallel 8] [--turns 1]
        [--problems 24] [--max-tokens N]

Both sides run the recipe ``gsm8k_search`` with the sampler ``random``, whose trials depend on their
numbers alone, and without pruning, so that they do equal work; the values of all trials must be
equal. Compared are the seconds of generation, as the runs measured them, of the trials, and in
brackets of the whole searches: those load the model, and answer as the baseline, the prompt and
with the winner, which no batch of trials changes. ``gsm8k`` reads ../shared/data and asks with five
worked examples.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

import yaml
from machine import DATA, header

SPACE = {
    "caa": {
        "layer": {"low": 8, "high": 22},
        "strength": {"low": 0.05, "high": 0.4, "log": True, "signed": True},
    }
}
TASKS = {
    "arithmetic": {
        "name": "arithmetic",
        "forms": ["sum"],
        "steps": 1,
        "count": 300,
        "fractions": {"fit": 0.2, "select": 0.4, "test": 0.4},
        "rendering": "raw",
        "max_tokens": 24,
    },
    "gsm8k": {
        "name": "gsm8k",
        "source": str(DATA / "gsm8k"),
        "rendering": "raw",
        "shots": 5,
        "limit": 80,
        "max_tokens": 96,
    },
}


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", default="bundled:smollm2-135m-instruct")
    parser.add_argument("--task", choices=list(TASKS), default="arithmetic")
    parser.add_argument("--trials", type=int, default=18)
    parser.add_argument("--parallel", type=int, default=8)
    parser.add_argument("--turns", type=int, default=1)
    parser.add_argument("--problems", type=int, default=24, help="of each trial, in two rungs")
    parser.add_argument("--max-tokens", type=int, help="of an answer, in place of the task's")
    args = parser.parse_args()
    header(f"search {vars(args)}")
    ratios = []
    for number in range(args.turns):
        sides = {size: one_run(args, size) for size in (1, args.parallel)}
        assert sides[1][1] == sides[args.parallel][1], "trials differ"
        # the first round is the baseline's and the prompt's, the last two are the winner's
        trials = {size: sum(rounds[1:-2]) for size, (rounds, _) in sides.items()}
        ratios.append(trials[1] / trials[args.parallel])
        whole = sum(sides[1][0]) / sum(sides[args.parallel][0])
        told = ", ".join(
            f"{size} at a time {trials[size]:.1f} s ({sum(rounds):.1f})"
            for size, (rounds, _) in sides.items()
        )
        print(f"turn {number + 1}: {told}: {ratios[-1]:.2f} ({whole:.2f})", flush=True)
    print(f"median {median(ratios):.2f}; values of all trials equal")


def one_run(
    args: argparse.Namespace, parallel: int
) -> tuple[list[float], list[tuple[object, ...]]]:
    """Return the seconds of each round of generation, and number and value of each trial."""
    config = {
        "recipe": "gsm8k_search",
        "name": "bench",
        "model": args.model,
        "task": TASKS[args.task] | ({"max_tokens": args.max_tokens} if args.max_tokens else {}),
        "space": SPACE,
        "search": {
            "sampler": "random",
            "pruner": "none",
            "trials": args.trials,
            "parallel": parallel,
            "rungs": [args.problems // 2, args.problems - args.problems // 2],
            "top": 1,
        },
        # confirm and test are the same on both sides: as small as can be
        "limits": {"select": args.problems + 4, "test": 2},
        "confirm": 4 / (args.problems + 4),
        "heldout": None,
        "sensitivity": None,
        "random_draws": 0,
    }
    with tempfile.TemporaryDirectory() as folder:
        path, out = Path(folder) / "search.yaml", Path(folder) / "run"
        path.write_text(yaml.safe_dump(config))
        command = [sys.executable, "-m", "trimtab", "run", str(path), "--out", str(out)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        summary = json.loads((out / "summary.json").read_text())
        usage = [
            json.loads(line)
            for path in sorted(out.glob("attempts/*/usage.jsonl"))
            for line in path.read_text().splitlines()
        ]
    trials = summary["sections"]["search"]["trials"]
    values = [(trial["number"], trial["params"], trial["select"]["mean"]) for trial in trials]
    return [phase["seconds"] for phase in usage if phase["phase"] == "generate"], values


if __name__ == "__main__":
    main()
