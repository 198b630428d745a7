"""Two commits of trimtab against each other: sweep, options, capture and judging.

    python bench/versions.py OLD NEW [--turns 3] [--only sweep ...] [--data ../shared/data]

OLD and NEW are clones. Each workload is that clone's own script of this folder with its peer left
out, in a process of its own that imports that clone, old and new by turns; loading is not timed.
Prints the seconds of each turn, the median of old over new, and the load of other processes.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import median

from machine import hardware

CHILD = """
import json, runpy, sys, time
sys.path.insert(0, "bench")
import machine

def first_alone(sides, repeats, check=None, dtype=machine.torch.float32, **_):
    name, work = next(iter(sides.items()))
    turn = machine.timed(work, dtype)
    print(json.dumps([turn.seconds, turn.other_load]))
    sys.exit(0)

machine.in_turns = first_alone
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""

OPTIONS = """
import json, sys
from pathlib import Path
sys.path.insert(0, "bench")
import machine, truthfulqa_lm_eval as bench
from trimtab.core.spec import ModelSpec
from trimtab.engine.engine import Engine

data = Path(sys.argv[1]) / "truthfulqa" / "v1"
rows = json.loads((data / "mc_task.json").read_text())[:100]
run = Engine.run

def timed(self, requests):
    turn = machine.timed(lambda: list(run(self, requests)))
    print(json.dumps([turn.seconds, turn.other_load]))
    return turn.result

Engine.run = timed
model = ModelSpec(id="bundled:smollm2-135m-instruct", device="cpu", dtype="float32")
bench.ours(model, data, {row["question"] for row in rows})
"""

WORKLOADS = {
    "sweep": (CHILD, ["bench/sweep.py", "--peer", "none", "--prompts", "16", "--max-tokens", "64"]),
    "options": (OPTIONS, []),
    "capture": (CHILD, ["bench/capture.py", "--pairs", "200"]),
    "judging": (CHILD, ["bench/judging.py", "--answers", "100"]),
}


def turn(tree: Path, name: str, data: Path) -> tuple[float, float]:
    """Return the seconds of one workload in ``tree`` and the load of others meanwhile."""
    code, arguments = WORKLOADS[name]
    arguments = arguments or [str(data.resolve())]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    found = [line for line in done.stdout.splitlines() if line.startswith("[")]
    assert found, f"{tree}: {name} failed\n{done.stdout}\n{done.stderr}"
    seconds, other = json.loads(found[-1])
    return seconds, other


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser()
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--only", nargs="*", default=list(WORKLOADS), choices=list(WORKLOADS))
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    args = parser.parse_args()
    print(hardware())
    trees = {"old": args.old.resolve(), "new": args.new.resolve()}
    for side, tree in trees.items():
        said = subprocess.check_output(["git", "describe", "--always", "--dirty"], cwd=tree)
        print(f"{side}: {said.decode().strip()}")
    for name in args.only:
        turns: dict[str, list[float]] = {side: [] for side in trees}
        for _ in range(args.turns):
            for side, tree in trees.items():
                seconds, other = turn(tree, name, args.data)
                turns[side].append(seconds)
                print(f"  {name}, {side}: {seconds:.2f} s (others {other:.2f} cores)", flush=True)
        ratios = [old / new for old, new in zip(turns["old"], turns["new"], strict=True)]
        shown = ", ".join(f"{ratio:.2f}" for ratio in ratios)
        print(f"{name}: old / new = {median(ratios):.3f} of {shown}", flush=True)


if __name__ == "__main__":
    main()
