"""kill -9 at any write of a program, then run it again: its folder ends with the same bytes."""

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

# Dies at the so-manieth rename, write-open or removal below its folder, before that happens.
_WATCH = """
import os, signal, sys
from pathlib import Path
folder, moment = Path(sys.argv[1]), int(sys.argv[2])
count = 0
def _watch(event, args):
    global count
    if event in ("open", "os.rename", "os.remove", "os.mkdir") and str(folder) in str(args[0]):
        count += 1
        if count == moment:
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(_watch)
"""


def check_same_bytes(program: str, tmp_path: Path, *args: str, kills: int) -> dict[Path, bytes]:
    """Run ``program`` undisturbed, and killed ``kills`` times; return what its folder holds.

    Args:
        program: Python source; it finds its folder in ``folder`` and ``args`` in ``sys.argv[3:]``.
        tmp_path: Where both folders go.
        args: Further arguments.
        kills: Attempts to kill it, at random writes; some may come after its end.
    """
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    total = int(_run(program, whole, 0, args).stdout)
    draws = random.Random(4)
    hits = 0
    for _ in range(kills):
        moment = draws.randrange(1, total // 3)
        hits += _run(program, killed, moment, args).returncode == -signal.SIGKILL
    assert hits >= kills // 2, "too few kills hit a running program to show anything"
    _run(program, killed, 0, args)
    assert _contents(killed) == _contents(whole)
    return _contents(whole)


def _run(
    program: str, folder: Path, moment: int, args: tuple[str, ...]
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"{_WATCH}{program}\nprint(count)", str(folder), str(moment), *args],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert moment or done.returncode == 0, done.stderr
    return done


def _contents(folder: Path) -> dict[Path, bytes]:
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
