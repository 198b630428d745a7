"""Clocks ahead and behind: of heartbeats, of other machines' claims, of the whole process."""

import glob
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from cli_process import Finished

from faults.ground import Ground, Outcome, wrong
from faults.moments import moment, send

_SPANS = (3e8, 4e6, 9e4, 7200.0, 600.0)
_VARIANTS = ("files ahead", "files behind", "a foreign claim ahead", "a foreign claim behind",
             "process ahead", "process behind")  # fmt: skip


def play(ground: Ground, rng: random.Random, number: int, folder: Path) -> Outcome:
    """Kill a run, turn a clock, and go on."""
    run, what = folder / "run", _VARIANTS[number % len(_VARIANTS)]
    span = rng.choice(_SPANS) * rng.uniform(0.5, 1) * (1 if what.endswith("ahead") else -1)
    command = ground.command(ground.start(run))
    phase = rng.choice(("fit", "generate", "score"))
    send(command, signal.SIGKILL, moment(rng, ground, run, phase))
    command.process.join()
    if what.startswith("files"):
        for path in run.rglob("*"):
            if rng.random() < 0.7:
                os.utime(path, (time.time() + span, time.time() + span))
    elif "claim" in what:
        for path in run.glob("claims/*/*.jsonl"):
            _make_foreign(path, time.time() + span)
    else:
        library = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")
        if not library:
            return Outcome(f"{what} (skipped: no libfaketime)")
        done = _with_clock(ground, ground.start(run), library[0], span)
        return Outcome(what, wrong(done, (0,)) or ground.differences(run))
    return Outcome(what, ground.resumed(run))


def _make_foreign(path: Path, touched: float) -> None:
    """Make a claim one that a machine holds that nobody can ask."""
    line = path.read_bytes().split(b"\n")[0]
    try:
        held = json.loads(line)
    except ValueError:
        return
    held["process"] |= {"host": "elsewhere", "machine": "0" * 32, "boot": "another"}
    path.write_bytes(json.dumps(held).encode() + b"\n")
    os.utime(path, (touched, touched))


def _with_clock(ground: Ground, argv: list[str], library: str, span: float) -> Finished:
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(p for p in sys.path if p),
        "LD_PRELOAD": library,
        "FAKETIME": f"{span:+.0f}",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    done = subprocess.run(
        [sys.executable, "-m", "trimtab", *argv],
        cwd=ground.folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    return Finished(done.returncode, done.stdout, done.stderr)
