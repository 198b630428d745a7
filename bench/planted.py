"""Does a search find what is there, and does it claim what isn't? Searches with a known answer.

    python bench/planted.py [--seeds 10] [--only optimum|nothing] [--sampler tpe]

optimum: a tiny model's texts under one configuration (layer 1, strength 0.8) are the target, and
the objective is how far a text goes with them. A seed finds it if its winner has that layer and a
strength within a quarter of it.

nothing: the configurations are random directions, and the objective is a coin tossed anew with
each text. What is counted is how often the best on select looks better than the baseline, how often
a test of it that forgets the choice says so (p < 0.05), and how often the report names a
configuration that beats the baseline after the confirm step.

Everything runs through the command line, as for any model.
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

from trimtab.models.tiny import save_tiny

LAYER, STRENGTH = 1, 0.8
EXTENSION = Path(__file__).parent / "planted"
TASK = {
    "name": "arithmetic",
    "forms": ["sum"],
    "steps": 1,
    "count": 160,
    "fractions": {"fit": 0.2, "select": 0.6, "test": 0.2},
    "rendering": "raw",
    "max_tokens": 12,
}


def main() -> None:
    """Search with every seed, and count."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--only", choices=["optimum", "nothing"])
    parser.add_argument("--sampler", default="tpe")
    args = parser.parse_args()
    header(f"planted {vars(args)}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        save_tiny(folder / "tiny", "llama")
        if args.only != "nothing":
            optimum(folder, args.seeds, args.sampler)
        if args.only != "optimum":
            nothing(folder, args.seeds, args.sampler)


def optimum(folder: Path, seeds: int, sampler: str) -> None:
    """Print in how many seeds the planted configuration is found."""
    target = {"name": "caa", "layer": LAYER, "strength": STRENGTH, "positions": "generated"}
    planted = folder / "planted.json"
    planted.write_text(json.dumps(texts_under(folder, target)))
    space = {
        "caa": {
            "layer": {"low": 0, "high": 3},
            "strength": {"low": 0.1, "high": 2.0, "signed": True},
            "positions": "generated",
        }
    }
    found = 0
    for seed in range(seeds):
        judge = {"name": "near", "file": str(planted)}
        content = search(folder, seed, sampler, space, judge, "near")
        chosen = content["configuration"]["config"]
        hit = chosen["layer"] == LAYER and abs(chosen["strength"] / STRENGTH - 1) <= 0.25
        found += hit
        best = next(c for c in content["confirmed"] if c["number"] == content["winner"])
        print(
            f"seed {seed}: layer {chosen['layer']}, strength {chosen['strength']:.3f}, near "
            f"{best['confirm']['mean']:.3f}: {'found' if hit else 'missed'}",
            flush=True,
        )
    print(f"optimum: found with {found} of {seeds} seeds", flush=True)


def nothing(folder: Path, seeds: int, sampler: str) -> None:
    """Print how often a gain is claimed where there is none."""
    like = {"name": "caa", "layer": LAYER}
    space = {
        "random": {
            "layer": LAYER,
            "like": like,
            "draw": {"choices": list(range(12))},
            "strength": {"low": 0.5, "high": 2.0, "signed": True},
        }
    }
    looks = naive = claims = 0
    for seed in range(seeds):
        content = search(folder, seed, sampler, space, {"name": "coin"}, "heads")
        trials = [t for t in content["trials"] if t["number"] > 1 and t["state"] == "complete"]
        best = max(trials, key=lambda trial: trial["select"]["mean"])
        gain, p = best["change"]["difference"], best["change"]["p"]
        beats = [
            c["number"]
            for c in content["confirmed"]
            if c["number"] > 1 and c["change"]["p_holm"] < 0.05 and c["change"]["difference"] > 0
        ]
        looks, naive, claims = (
            looks + (gain > 0),
            naive + (gain > 0 and p < 0.05),
            claims + bool(beats),
        )
        print(
            f"seed {seed}: best on select {gain:+.3f} (p {p:.3f}); confirmed: {beats}", flush=True
        )
    print(
        f"nothing: the best on select looks better with {looks} of {seeds} seeds, significantly "
        f"with {naive}; after the confirm step {claims} of {seeds} claim a gain",
        flush=True,
    )


def search(
    folder: Path, seed: int, sampler: str, space: dict[str, Any], judge: dict[str, Any], metric: str
) -> dict[str, Any]:
    """Return what a search of 30 trials reports."""
    settings = {
        "sampler": sampler,
        "pruner": "none",
        "trials": 32,
        "parallel": 5,
        "startup": 10,
        "rungs": [24],
        "objective": metric,
        "top": 5,
    }
    config = {
        "recipe": "gsm8k_search",
        "task": TASK,
        "space": space,
        "search": settings,
        "confirm": 0.6,
        "limits": {"test": 8},
        "heldout": None,
        "sensitivity": None,
        "random_draws": 0,
        "judges": [judge],
        "seed": seed,
    }
    summary = run(folder, f"{metric}-{seed}", config)
    content: dict[str, Any] = summary["sections"]["search"]
    return content


def texts_under(folder: Path, intervention: dict[str, Any]) -> dict[str, str]:
    """Return the texts of an intervention, by problem of the select split."""
    condition = {key: value for key, value in intervention.items() if key != "strength"}
    config = {
        "recipe": "steer",
        "tasks": {"sums": TASK},
        "fit_on": TASK,
        "layer": LAYER,
        "conditions": {"planted": condition},
        "strengths": [intervention["strength"]],
        "split": "select",
        "controls": {"random_draws": 0, "prompt": None},
    }
    run(folder, "target", config)
    plan = json.loads((folder / "target" / "plan" / "0000.json").read_text())
    (cell,) = (c for c in plan["cells"] if c["coordinates"].get("strength") == STRENGTH)
    files = (folder / "target" / "completions").rglob("*.jsonl")
    rows = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    return {row["sample_id"]: row["text"] for row in rows if row["cell"] == cell["key"]}


def run(folder: Path, name: str, config: dict[str, Any]) -> dict[str, Any]:
    """Run an experiment of the tiny model; return its summary."""
    path, out = folder / f"{name}.yaml", folder / name
    model = {"id": str(folder / "tiny"), "device": "cpu"}
    path.write_text(yaml.safe_dump({"name": name, "model": model, **config, **_extended()}))
    argv = [sys.executable, "-m", "trimtab", "run", str(path), "--out", str(out)]
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    summary: dict[str, Any] = json.loads((out / "summary.json").read_text())
    return summary


def _extended() -> dict[str, Any]:
    return {"extensions": [str(EXTENSION)]}


if __name__ == "__main__":
    main()
