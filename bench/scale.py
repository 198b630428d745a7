"""What a run costs beside its models: planning, resuming, status, report, by the number of rows.

    python bench/scale.py [--rows 50000] [--conditions 20] [--judges 4] [--clusters 0]
        [--commands plan status resume report] [--cells 5000] [--keep FOLDER]

Makes a run whose rows are made up and complete, written as a run writes them, and calls the command
line on it. ``plan`` plans an experiment of so many cells on all questions of ../shared/data in
place of that. Prints processor seconds, wall seconds, peak memory and the size of the page.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from machine import DATA, commit, hardware

from trimtab.core.plan import Cell, JudgePlan, Plan
from trimtab.core.spec import Component, Metric, ModelSpec
from trimtab.core.types import Message, Sample, SamplingParams
from trimtab.runs.plan.data import PlanData
from trimtab.runs.store.run import Run

MODEL = ModelSpec(id="bundled:smollm2-135m-instruct", dtype="float32", device="cpu")
WORDS = ["the", "a", "of", "model", "answer", "truth", "water", "moon", "door", "letter", "week"]


def make_run(folder: Path, args: argparse.Namespace) -> Run:
    """Write a run of ``rows`` completions, all scored by all judges."""
    rng = random.Random(0)
    num = args.rows // args.conditions
    samples = [
        Sample(
            id=f"q{i:07d}",
            messages=(Message(role="user", content=f"Question {i}: {words(rng, 12)}?"),),
            target="7",
            cluster=f"c{i % args.clusters}" if args.clusters else None,
        )
        for i in range(num)
    ]
    data = PlanData()
    key = data.add_samples(samples)
    strengths = [round(-2 + 4 * i / max(1, args.conditions - 2), 3) for i in range(args.conditions)]
    cells = [
        Cell(
            key=f"{i:016x}",
            condition="baseline" if i == 0 else f"condition {i}",
            role="baseline" if i == 0 else "treatment",
            coordinates={} if i == 0 else {"series": "s", "strength": strengths[i]},
            measure="generation",
            model=MODEL,
            model_identity="0" * 16,
            task=Component(name="arithmetic"),
            split="test",
            samples=key,
            output="text",
            intervention=Component(name="none"),
            sampling=SamplingParams(max_tokens=64),
        )
        for i in range(args.conditions)
    ]
    judges = [
        JudgePlan(
            key=f"text_health-{i:08d}",
            component=Component(name="text_health"),
            output="text",
            metrics=(
                Metric(name=f"right_{i}", kind="binary", role="effect", higher_is_better=True),
                Metric(name=f"score_{i}", kind="number", role="effect", higher_is_better=True),
            ),
        )
        for i in range(args.judges)
    ]
    plan = Plan.single(recipe="steer", name="scale", cells=cells, judges=judges)
    config = {"recipe": "steer", "name": "scale", "model": {"id": MODEL.id}, "tasks": {
        "generation": {"name": "arithmetic"}}}  # fmt: skip
    run = Run.create(folder, config, plan, data.folders())
    for cell in cells:
        write_cell(folder, cell, samples, judges, rng)
    return run


def write_cell(folder: Path, cell: Cell, samples, judges, rng: random.Random) -> None:
    """Write the rows of a cell and their scores."""
    passing = {"attempt": 1, "time": 1.0}
    rows = [
        {"cell": cell.key, "sample_id": s.id, "index": 0, "protocol": "scale",
         "num_prompt_tokens": 30, "text": words(rng, 40), "num_tokens": 50, "logprob": -31.5,
         "finish_reason": "eos", **passing}
        for s in samples
    ]  # fmt: skip
    write(folder / "completions" / cell.key / "a0001-00000000.jsonl", rows)
    for i, judge in enumerate(judges):
        scores = [
            {"cell": cell.key, "sample_id": s.id, "index": 0, "judge": judge.key,
             "values": {f"right_{i}": float(rng.random() < 0.5), f"score_{i}": rng.random()},
             **passing}
            for s in samples
        ]  # fmt: skip
        write(folder / "scores" / judge.key / cell.key / "a0001-00000000.jsonl", scores)


def words(rng: random.Random, count: int) -> str:
    """Return made-up text."""
    return " ".join(rng.choices(WORDS, k=count))


def write(path: Path, rows: list[dict]) -> None:
    """Write rows as segments hold them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, separators=(",", ":")) + "\n" for row in rows))


def measure(name: str, *arguments: str) -> None:
    """Run one command of trimtab and print what it cost."""
    start = time.perf_counter()
    code = "from trimtab.cli.main import main; main()"
    with tempfile.TemporaryFile() as said:
        child = subprocess.Popen(
            [sys.executable, "-c", code, *arguments], stdout=said, stderr=subprocess.STDOUT
        )
        _, status, used = os.wait4(child.pid, 0)
        wall = time.perf_counter() - start
        said.seek(0)
        tail = said.read().decode(errors="replace")[-300:] if status else ""
    print(
        f"{name}: {used.ru_utime + used.ru_stime:.1f} s of processor time, {wall:.1f} s, "
        f"{used.ru_maxrss / 1e3:.0f} MB {tail}",
        flush=True,
    )


def make_experiment(folder: Path, cells: int) -> Path:
    """Write an experiment of about so many cells on all questions."""
    strengths = [0.1 * k for k in range(1, 6)]
    sizes = [20, 40, 80, 160, 320]
    vectors = max(2, cells // (2 * len(strengths) * len(sizes)))
    path = folder / "scale.yaml"
    path.write_text(
        json.dumps(
            {
                "recipe": "truthfulqa_steering", "name": "scale",
                "model": {"id": MODEL.id, "dtype": "float32", "device": "cpu"},
                "task": {"source": str((DATA / "truthfulqa").resolve())},
                "measures": ["generation", "options"],
                "bank": {"vectors": vectors, "sizes": sizes, "strengths": strengths},
            }
        )
    )  # fmt: skip
    return path


def main() -> None:
    """Measure."""
    commands = ["plan", "status", "resume", "report"]
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--conditions", type=int, default=20)
    parser.add_argument("--judges", type=int, default=4)
    parser.add_argument("--clusters", type=int, default=0, help="0: each question is one")
    parser.add_argument("--cells", type=int, default=5000)
    parser.add_argument("--commands", nargs="*", default=commands, choices=commands)
    parser.add_argument("--keep", type=Path)
    args = parser.parse_args()
    print(f"{hardware()}, {commit()}, {vars(args)}")
    with tempfile.TemporaryDirectory() as temporary:
        if "plan" in args.commands:
            measure("plan", "plan", str(make_experiment(Path(temporary), args.cells)))
        runs = [command for command in commands[1:] if command in args.commands]
        if runs:
            folder = args.keep or Path(temporary) / "run"
            if not (folder / "plan").is_dir():
                make_run(folder, args)
            for command in runs:
                measure(command, command, str(folder))
            page = folder / "report" / "index.html"
            if page.is_file():
                print(f"page: {page.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
