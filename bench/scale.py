"""What a run costs beside its models: planning, resuming, status, report, by the number of rows.

    python bench/scale.py [--rows 50000] [--conditions 20] [--judges 4] [--clusters 0] [--failed 0]
        [--commands plan scan status report resume page] [--cells 5000] [--keep FOLDER]
        [--before ../other/clone/src]

Makes a run whose rows are made up and complete, and calls the command line on it. ``plan`` plans
an experiment of so many cells on all questions of ../shared/data in place of that; ``scan`` looks
which rows are owed, as a resume does first; ``page`` opens the report in Chromium, beside an empty
page. Prints processor seconds, wall seconds, peak memory and the size of the page. With
``--before`` all of it is done by an earlier version as well, on the same run, which is written in
format 1, without checksums, so that both can read it.
"""

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from machine import DATA, commit, hardware

import trimtab
from trimtab.core.checksums import with_checksum
from trimtab.core.keys import content_key
from trimtab.core.plan import Cell, JudgePlan, Plan
from trimtab.core.records import write_json, write_rows
from trimtab.core.spec import Component, Metric, ModelSpec
from trimtab.core.types import Message, Sample, SamplingParams
from trimtab.runs.store.run import Run

COMMANDS = ["plan", "scan", "status", "report", "resume", "page"]
SCAN = """
import pathlib, sys
try:
    from trimtab.runs.store.run import Run
    from trimtab.runs.work.state import State
    from trimtab.runs.work.units import units
    run = Run.open(pathlib.Path(sys.argv[1]))
    state = State(run)
    print(sum(len(state.owed(unit)) for unit in units(run)))
except ImportError:
    from trimtab.runs.store import Run
    from trimtab.runs.score import owed
    run = Run.open(pathlib.Path(sys.argv[1]))
    print(sum(len(run.owed(cell)) for cell in run.plan.cells), [owed(run, j) for j in run.judges()])
"""
# A process begins with the memory of the one that it was forked from: a small one does that.
LAUNCH = """
import json, os, subprocess, sys, time
start = time.perf_counter()
child = subprocess.Popen(sys.argv[1:], stdout=sys.stderr)
_, status, used = os.wait4(child.pid, 0)
wall = time.perf_counter() - start
print(json.dumps([status, used.ru_utime + used.ru_stime, wall, used.ru_maxrss]))
"""
MAIN = "from trimtab.cli.main import main; main()"
MODEL = ModelSpec(id="bundled:smollm2-135m-instruct", dtype="float32", device="cpu")
# Configurations that differ, so that a run may have several judges.
EXACT: list[dict[str, object]] = [
    {"ignore_case": case, "strip_punctuation": marks}
    for case in (True, False)
    for marks in (True, False)
]
WORDS = ["the", "a", "of", "model", "answer", "truth", "water", "moon", "door", "letter", "week"]


def make_run(folder: Path, args: argparse.Namespace) -> None:
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
    key = content_key(samples)
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
            key=f"exact-{i:08d}",
            component=Component(name="exact", config=EXACT[i]),
            output="text",
            metrics=(
                Metric(name="right", kind="binary", role="effect", higher_is_better=True),
                Metric(name=f"score_{i}", kind="number", role="effect", higher_is_better=True),
            ),
        )
        for i in range(args.judges)
    ]
    plan = Plan.single(recipe="steer", name="scale", cells=cells, judges=judges)
    config = {"recipe": "steer", "name": "scale", "model": {"id": MODEL.id}, "tasks": {
        "generation": {"name": "arithmetic"}}}  # fmt: skip
    if args.before is None:
        Run.create(folder, config, plan, {"samples": {key: samples}})
    else:
        write_rows(folder / "samples" / f"{key}.jsonl", samples)
        write_json(folder / "config.json", config)
        write_json(folder / "plan.json", old_plan(plan))
    for cell in cells:
        write_cell(folder, cell, samples, judges, rng, args.failed, args.before is None)


def old_plan(plan: Plan) -> dict:
    """Return a plan as format 1 has it."""
    cells = [cell.model_dump(mode="json") for cell in plan.cells]
    for cell in cells:
        for name in ("control", "purpose", "rendering", "protocol", "artifacts"):
            del cell[name]
        cell |= {"artifact": None, "gate": None}
        if "strength" in cell["coordinates"]:
            cell["coordinates"]["dose"] = cell["coordinates"].pop("strength")
    judges = [judge.model_dump(mode="json") for judge in plan.judges]
    for judge in judges:
        del judge["artifacts"]
        judge["fit"] = None
    kept = plan.model_dump(mode="json", include={"recipe", "name", "baseline", "window", "seed"})
    return {**kept, "cells": cells, "judges": judges, "artifacts": []}


def write_cell(
    folder: Path, cell: Cell, samples, judges, rng: random.Random, failed: float, sealed: bool
) -> None:
    """Write the rows of a cell and their scores; a share of the rows failed and has none."""
    passing = {"attempt": 1, "time": 1.0}
    bad = {s.id for s in samples if rng.random() < failed}
    rows = [
        {"cell": cell.key, "sample_id": s.id, "index": 0, "protocol": "scale",
         "num_prompt_tokens": 30, "text": None if s.id in bad else words(rng, 40),
         "num_tokens": 50, "logprob": -31.5,
         "finish_reason": "error" if s.id in bad else "eos",
         "error": "made up" if s.id in bad else None, **passing}
        for s in samples
    ]  # fmt: skip
    write(folder / "completions" / cell.key / "a0001-00000000.jsonl", rows, sealed)
    for i, judge in enumerate(judges):
        scores = [
            {"cell": cell.key, "sample_id": s.id, "index": 0, "judge": judge.key,
             "values": {"right": float(rng.random() < 0.5), f"score_{i}": rng.random()},
             **passing}
            for s in samples
            if s.id not in bad
        ]  # fmt: skip
        place = folder / "scores" / judge.key / cell.key
        write(place / "a0001-00000000.jsonl", scores, sealed)


def words(rng: random.Random, count: int) -> str:
    """Return made-up text."""
    return " ".join(rng.choices(WORDS, k=count))


def write(path: Path, rows: list[dict], sealed: bool) -> None:
    """Write rows as segments hold them, with checksums if they are ``sealed``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = (json.dumps(row, separators=(",", ":")).encode() + b"\n" for row in rows)
    path.write_bytes(b"".join(map(with_checksum, lines) if sealed else lines))


def measure(name: str, source: Path, code: str, *arguments: str) -> None:
    """Run some code of one version of trimtab and print what it cost."""
    child = {**os.environ, "PYTHONPATH": str(source)}
    spent(name, [sys.executable, "-c", code, *arguments], child)


def spent(name: str, command: list[str], environment: dict[str, str] | None = None) -> None:
    """Run a command and print what it cost."""
    launched = [sys.executable, "-S", "-c", LAUNCH, *command]
    done = subprocess.run(launched, capture_output=True, text=True, env=environment, check=True)
    status, processor, wall, peak = json.loads(done.stdout)
    tail = done.stderr[-300:] if status else ""
    print(
        f"{name}: {processor:.1f} s of processor time, {wall:.1f} s, {peak / 1e3:.0f} MB {tail}",
        flush=True,
    )


def measure_run(folder: Path, version: str, source: Path, commands: list[str]) -> None:
    """Measure commands of one version on a run that is there."""
    for command in commands:
        if command == "page":
            page = folder / "report" / "index.html"
            print(f"{version} page: {page.stat().st_size / 1e6:.1f} MB")
            if browser := shutil.which("chromium"):
                see = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"]
                spent("an empty page", [*see, "about:blank"])
                spent(f"{version} page opened", [*see, page.resolve().as_uri()])
        elif command == "scan":
            measure(f"{version} scan", source, SCAN, str(folder))
        else:
            measure(f"{version} {command}", source, MAIN, command, str(folder))
            if command == "resume":  # the first one notes that nothing is owed
                measure(f"{version} resume again", source, MAIN, command, str(folder))


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
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--conditions", type=int, default=20)
    parser.add_argument("--judges", type=int, default=4)
    parser.add_argument("--clusters", type=int, default=0, help="0: each question is one")
    parser.add_argument("--failed", type=float, default=0.0, help="share of rows with an error")
    parser.add_argument("--cells", type=int, default=5000)
    parser.add_argument("--commands", nargs="*", default=COMMANDS, choices=COMMANDS)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--before", type=Path, help="the src folder of an earlier version")
    args = parser.parse_args()
    print(f"{hardware()}, {commit()}, {vars(args)}")
    versions = {"before": args.before} if args.before else {}
    versions["now"] = Path(trimtab.__file__).parents[1]
    with tempfile.TemporaryDirectory() as temporary:
        if "plan" in args.commands:
            experiment = make_experiment(Path(temporary), args.cells)
            for version, source in versions.items():
                measure(f"{version} plan", source, MAIN, "plan", str(experiment))
        runs = [command for command in COMMANDS[1:] if command in args.commands]
        if runs:
            folder = args.keep or Path(temporary) / "run"
            if not (folder / "samples").is_dir():
                make_run(folder, args)
            for version, source in versions.items():
                measure_run(folder, version, source, runs)


if __name__ == "__main__":
    main()
