"""Kills, signals, endpoints, disks, clocks, clusters: what a run survives, and what it says.

    python bench/campaign.py [--seed 0] [--count 20] [--only KIND ...] [--first 0]
        [--quick] [--keep FOLDER] [--recipe NAME]

Plays seeded random instances of each kind of fault on real runs of a tiny experiment, goes on with
them, and compares rows, artifacts and summary with those of an undisturbed run. Nothing may be lost
or doubled; no command may hang, end in a traceback or with an undocumented exit code. Prints a
table of kinds and ends with 1 if something did not hold. An instance is drawn from seed, kind and
number alone: ``--only KIND --first N --count 1`` plays one again. Of recipes other than the first,
kills, signals, workers, slurm, accounted and ray are played: the other faults are made for the
first one's files. Mounts need root, slurm needs a SLURM besides, accounted needs slurmdbd and
MariaDB, and ray needs Ray; what can't be played is left out by name. An instance of slurm and of
accounted is a run that meets four to seven faults, one of ray two to four: all that hit it are
counted below the table.
"""

import argparse
import importlib
import random
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path

from faults.ground import EXPERIMENTS, STEERING, Ground, Outcome

KINDS = (
    "kills",
    "signals",
    "workers",
    "endpoints",
    "disks",
    "links",
    "damage",
    "clocks",
    "slurm",
    "accounted",
    "ray",
)
ANY_RECIPE = ("kills", "signals", "workers", "slurm", "accounted", "ray")
QUICK = 2


def play(ground: Ground, kind: str, seed: int, number: int, *, keep: bool = False) -> Outcome:
    """Play one instance; its folder is kept if something did not hold and ``keep`` is set."""
    folder = ground.folder / f"{kind}-{number:04d}"
    folder.mkdir()
    rng = random.Random(f"{seed} {kind} {number}")
    try:
        outcome = importlib.import_module(f"faults.{kind}").play(ground, rng, number, folder)
    except Exception as error:  # the instance is told as one that did not hold
        traceback.print_exc()
        outcome = Outcome("the campaign itself", [repr(error)])
    if not (keep and outcome.problems):
        shutil.rmtree(folder, ignore_errors=True)
    return outcome


def campaign(ground: Ground, args: argparse.Namespace) -> dict[str, list[Outcome]]:
    """Play all that is asked for; tell of each at once what did not hold."""
    found: dict[str, list[Outcome]] = {}
    for kind in args.only:
        since = time.monotonic()
        found[kind] = []
        for number in range(args.first, args.first + args.count):
            outcome = play(ground, kind, args.seed, number, keep=args.keep is not None)
            found[kind].append(outcome)
            print(f"{kind} {number}: {outcome.what}", *outcome.problems, sep="\n    ", flush=True)
        print(f"{kind}: {args.count} in {time.monotonic() - since:.0f} s", flush=True)
    return found


def table(found: dict[str, list[Outcome]]) -> str:
    """Return the counts of each kind, and below them what was tried of it."""
    lines = ["| kind | tried | held | what failed |", "|---|---:|---:|---|"]
    for kind, outcomes in found.items():
        tried = [each for each in outcomes if "(skipped" not in each.what]
        failed = Counter(each.what for each in tried if each.problems)
        said = "; ".join(f"{what} ({count})" for what, count in failed.items()) or "nothing"
        lines.append(f"| {kind} | {len(tried)} | {len(tried) - failed.total()} | {said} |")
    for kind, outcomes in found.items():
        counts = Counter(what for each in outcomes for what in each.what.split(" + "))
        lines.append(f"{kind}: " + ", ".join(f"{what} {n}" for what, n in sorted(counts.items())))
    return "\n".join(lines)


def arguments(words: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=20, help="instances of each kind")
    parser.add_argument("--first", type=int, default=0, help="number of the first instance")
    parser.add_argument("--only", nargs="*", choices=KINDS)
    parser.add_argument("--recipe", choices=list(EXPERIMENTS), default=STEERING)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK} instances of each kind")
    parser.add_argument("--keep", type=Path, help="folder for what did not hold; must not exist")
    args = parser.parse_args(words)
    args.count = QUICK if args.quick else args.count
    possible = KINDS if args.recipe == STEERING else ANY_RECIPE
    args.only = args.only or list(possible)
    if beyond := set(args.only) - set(possible):
        parser.error(f"{', '.join(sorted(beyond))}: only of {STEERING}")
    return args


def main() -> int:
    """Play, print, and return the exit code."""
    from machine import commit, hardware

    args = arguments(sys.argv[1:])
    print(f"{hardware()}, {commit()}, {' '.join(sys.argv[1:])}", flush=True)
    with tempfile.TemporaryDirectory(prefix="trimtab-campaign-") as temporary:
        folder = args.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=args.keep is None)
        found = campaign(Ground.make(folder, args.recipe), args)
    print(table(found))
    return int(any(each.problems for outcomes in found.values() for each in outcomes))


if __name__ == "__main__":
    sys.exit(main())
