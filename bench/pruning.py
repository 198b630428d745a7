"""What pruning saves and what it costs: the laptop preset's search, whole, and pruned afterwards.

    python bench/pruning.py [--seeds 0 1 2 3 4] [--out FOLDER] [-o KEY=VALUE ...]

Each seed runs configs/gsm8k_search/laptop.yaml with the sampler ``random`` and without pruning, up
to the confirm step at its smallest. Trials of ``random`` depend on their numbers alone, so what a
pruner would have left of that search follows from its records exactly. Prints for each seed and
pruner the share of answers that is saved, and whether the best that is left is the best of all;
where it isn't, their difference on the select problems with its interval.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

import yaml
from machine import header

from trimtab.runs.store.run import Run
from trimtab.search.outcome import ranked
from trimtab.search.pruning import pruned
from trimtab.search.settings import SearchSettings
from trimtab.search.trials import PROMPT, Trial, are_high, read_trials
from trimtab.stats.paired import paired_difference

LAPTOP = Path(__file__).parents[1] / "configs" / "gsm8k_search" / "laptop.yaml"
PRUNERS: dict[str, dict[str, Any]] = {
    "halving": {"pruner": "halving"},
    "wilcoxon 0.1": {"pruner": "wilcoxon", "p_threshold": 0.1},
    "wilcoxon 0.3": {"pruner": "wilcoxon", "p_threshold": 0.3},
    "median": {"pruner": "median"},
}


def main() -> None:
    """Search with every seed, and prune."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--out", type=Path)
    parser.add_argument("-o", dest="overrides", action="append", default=[])
    args = parser.parse_args()
    header(f"pruning {vars(args)}")
    saved: dict[str, list[float]] = {name: [] for name in PRUNERS}
    with tempfile.TemporaryDirectory() as temporary:
        for seed in args.seeds:
            run = search((args.out or Path(temporary)) / f"seed-{seed}", seed, args.overrides)
            settings = SearchSettings.model_validate(run.config["search"])
            (high,) = are_high(run.judges(), settings)
            trials = read_trials(run, settings)
            best = ranked(trials, settings, high)[0]
            print(f"seed {seed}: best is trial {best.number}, {best.value:.3f}", flush=True)
            for name, given in PRUNERS.items():
                own = settings.model_copy(update=given)
                left = what_is_left(trials, own, high)
                share = 1 - answers(left) / answers(trials)
                saved[name].append(share)
                print(f"  {name}: saves {share:.0%}; {verdict(best, left, own, high)}", flush=True)
    for name, shares in saved.items():
        print(f"{name}: saves {fmean(shares):.0%} ({min(shares):.0%} to {max(shares):.0%})")


def search(out: Path, seed: int, overrides: Sequence[str]) -> Run:
    """Return the finished run of an unpruned search; one that was killed goes on."""
    config = yaml.safe_load(LAPTOP.read_text())
    config |= {"heldout": None, "sensitivity": None, "random_draws": 0, "limits": {"test": 2}}
    config["search"] |= {"sampler": "random", "pruner": "none", "top": 1}
    config |= {"name": "pruning", "confirm": 0.45, "seed": seed}
    command = ["resume", str(out)]
    if not out.is_dir():
        out.parent.mkdir(parents=True, exist_ok=True)
        path = out.with_suffix(".yaml")
        path.write_text(yaml.safe_dump(config))
        command = ["run", str(path), "--out", str(out)]
        command += [part for override in overrides for part in ("-o", override)]
    done = subprocess.run([sys.executable, "-m", "trimtab", *command], stdout=subprocess.DEVNULL)
    done.check_returncode()
    return Run.open(out)


def what_is_left(trials: Sequence[Trial], settings: SearchSettings, high: bool) -> list[Trial]:
    """Return the trials as a pruner would have left them, batch by batch and rung by rung."""
    left: dict[int, Trial] = {}
    for batch in sorted({trial.batch for trial in trials}):
        whole = [trial for trial in trials if trial.batch == batch]
        alive = [trial.number for trial in whole]
        for rung in range(len(settings.rungs)):
            for trial in whole:
                if trial.number in alive:
                    last = rung + 1 == trial.planned
                    state = "complete" if last else "running"
                    left[trial.number] = replace(trial, rungs=trial.rungs[: rung + 1], state=state)
            asked = [left[number] for number in alive if number > PROMPT]
            ended = pruned(settings, high, list(left.values()), asked, rung)
            if rung + 1 < len(settings.rungs):
                for number in ended:
                    left[number] = replace(left[number], state="pruned")
                alive = [number for number in alive if number not in ended]
    return [left[number] for number in sorted(left)]


def answers(trials: Sequence[Trial]) -> int:
    """Return how many answers trials took, without baseline and prompt."""
    return sum(len(trial.values) for trial in trials if trial.number > PROMPT)


def verdict(best: Trial, left: Sequence[Trial], settings: SearchSettings, high: bool) -> str:
    """Say how the best that is left compares with the best of all."""
    first = ranked(left, settings, high)[0]
    if first.number == best.number:
        return "the same best"
    lost = paired_difference(best.values, first.values, seed=0)
    interval = f"[{lost.interval.low:.3f}, {lost.interval.high:.3f}]"
    return f"trial {first.number}, {first.value:.3f}: loses {lost.mean:.3f} {interval}"


if __name__ == "__main__":
    main()
