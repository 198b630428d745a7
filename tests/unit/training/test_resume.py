"""kill -9 at any write of a fit, then call it again: the folder ends with the same bytes."""

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

# Dies at the so-manieth rename, write-open or removal below its folder, before that happens.
PROGRAM = """
import os, signal, sys
from pathlib import Path
folder, moment = sys.argv[1], int(sys.argv[2])
from trimtab.core.training import Training
from trimtab.judges.energy import EnergyConfig
from trimtab.training.energy import Data, fit_energy
from trimtab.training.groups import Group

def groups(start, stop):
    return [
        Group(f"take {i} from {i + 3}", (f"{i + 3} - {i}", f"{i} - {i + 3}"), (True, False))
        for i in range(start, stop)
    ]

count = 0
def watch(event, args):
    global count
    if event in ("open", "os.rename", "os.remove", "os.mkdir") and folder in str(args[0]):
        count += 1
        if count == moment:
            os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(watch)
training = Training(epochs=3, batch=5, micro_batch=2, learning_rate=1e-3, evaluate_every=4)
config = EnergyConfig(training=training, mining=1)
data = Data(groups(0, 20), groups(20, 28))
fit_energy(config, data, folder=Path(folder), checkpoint_seconds=0.0)
print(count)
"""


def run(folder: Path, moment: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, str(folder), str(moment)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
        capture_output=True,
        text=True,
        check=False,
    )


def contents(folder: Path) -> dict[Path, bytes]:
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_killed_at_random_writes_leaves_the_same_bytes(tmp_path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    done = run(whole, 0)
    assert done.returncode == 0, done.stderr
    total = int(done.stdout)
    drawn = random.Random(4)
    kills = 0
    for _ in range(8):
        done = run(killed, drawn.randrange(1, total // 4))
        kills += done.returncode == -signal.SIGKILL
    done = run(killed, 0)
    assert done.returncode == 0, done.stderr
    assert kills >= 5, "too few kills hit a running fit to show anything"
    assert contents(killed) == contents(whole)
