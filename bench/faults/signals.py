"""SIGTERM, SIGINT and SIGHUP at random moments: one line says how to go on, and that works."""

import os
import random
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

from cli_process import Finished

from faults.ground import Ground, Outcome, ended, wrong
from faults.moments import PHASES, moment, send

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_END_S = 30.0


def play(ground: Ground, rng: random.Random, number: int, folder: Path) -> Outcome:
    """Stop a run from outside and do what it says."""
    run = folder / "run"
    by = SIGNALS[number % len(SIGNALS)]
    phase = ("start", *PHASES)[number // len(SIGNALS) % (len(PHASES) + 1)]
    argv = ground.start(run)
    if phase == "start":
        sent, done = _at_start(ground, argv, by, rng.uniform(0.0, 3.0))
    else:
        command = ground.command(argv)
        sent = send(command, by, moment(rng, ground, run, phase))
        done = ended(command, _END_S if sent else 300.0)
    what = f"{by.name} during {phase}"
    if done.code == -by and not run.exists() and not done.err:
        return Outcome(what, ground.resumed(run))  # before there was anything to tell
    problems = wrong(done, (0, 128 + by) if sent else (0,))
    if problems or done.code == 0:
        return Outcome(what, problems or ground.differences(run))
    told = done.err.splitlines()[-1]
    if "Go on with: trimtab " in told:
        argv = shlex.split(told.partition("Go on with: trimtab ")[2])
    elif "The same command goes on" not in told and "before anything was begun" not in told:
        return Outcome(what, [f"does not say how to go on: {told}"])
    problems = wrong(ground.run(argv), (0,))
    return Outcome(what, problems or ground.differences(run))


def _at_start(
    ground: Ground, argv: list[str], by: signal.Signals, delay: float
) -> tuple[bool, Finished]:
    """Run a command from its first import on."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    with subprocess.Popen(
        [sys.executable, "-m", "trimtab", *argv],
        cwd=ground.folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=_listening,
    ) as process:
        time.sleep(delay)
        sent = process.poll() is None
        process.send_signal(by)
        try:
            out, err = process.communicate(timeout=120)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
    return sent, Finished(process.returncode, out, err)


def _listening() -> None:
    # what a shell's background jobs inherit would not be what a user's terminal sends
    for number in SIGNALS:
        signal.signal(number, signal.SIG_DFL)
