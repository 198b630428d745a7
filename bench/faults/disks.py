"""Full disks, quotas, read-only mounts, homes that can't be written, output that nobody takes."""

import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from cli_process import Finished

from faults import mounts
from faults.ground import Ground, Outcome, with_home, wrong
from trimtab.compute.chaos.commands import limited

_LARGE = 2**26


def play(ground: Ground, rng: random.Random, number: int, folder: Path) -> Outcome:
    """Take the disk away in one way, and give it back."""
    name, variant = list(_VARIANTS.items())[number % len(_VARIANTS)]
    if name in _MOUNTED and not mounts.can_mount(folder):
        return Outcome(f"{name} (skipped: nothing can be mounted here)")
    return Outcome(name, variant(ground, rng, folder))


def _sizes(run: Path) -> list[int]:
    return [path.stat().st_size for path in run.rglob("*") if path.is_file()]


def _file_limit(ground: Ground, rng: random.Random, folder: Path) -> list[str]:
    run = folder / "run"
    limit = rng.randint(8192, max(_sizes(ground.whole)))
    done = ground.run(ground.start(run), limited(limit))
    return wrong(done, (0, 6)) or ground.resumed(run)


def _full(ground: Ground, rng: random.Random, folder: Path) -> list[str]:
    size = int(sum(_sizes(ground.whole)) * rng.uniform(0.1, 1.2))
    with mounts.small(folder / "disk", max(size, 16384)) as disk:
        run = disk / "run"
        problems = wrong(ground.run(ground.start(run)), (0, 6))
        mounts.resize(disk, _LARGE)
        return problems or ground.resumed(run)


def _full_report(ground: Ground, rng: random.Random, folder: Path) -> list[str]:
    with mounts.small(folder / "disk", _LARGE) as disk:
        run = ground.copy(disk / "run")
        old = (run / "summary.json").read_bytes()
        (run / "finished.json").unlink()
        left = rng.randint(0, sum(_sizes(run / "report")))
        info = os.statvfs(disk)
        filler = disk / "filler"
        filler.write_bytes(bytes(max(info.f_bavail * info.f_frsize - left, 0)))
        problems = wrong(ground.run(["report", run]), (0, 6))
        if (run / "summary.json").read_bytes() != old or not (run / "report/index.html").is_file():
            problems.append("the old report is gone")
        filler.unlink()
        return problems or wrong(ground.run(["report", run]), (0,)) or ground.differences(run)


def _read_only(ground: Ground, rng: random.Random, folder: Path) -> list[str]:
    run = ground.half(folder / "run", rng.random)
    with mounts.read_only(run):
        problems = [
            f"{command}: {line}"
            for command, codes in (("status", (0,)), ("verify", (0,)), ("report", (6,)),
                                   ("resume", (6,)), ("work", (6,)), ("score", (6,)))
            for line in wrong(ground.run([command, run]), codes)
        ]  # fmt: skip
    return problems or ground.resumed(run)


def _read_only_whole(ground: Ground, _: random.Random, folder: Path) -> list[str]:
    run = ground.copy(folder / "run")
    with mounts.read_only(run):
        return [
            f"{command}: {line}"
            for command in ("status", "verify", "resume")
            for line in wrong(ground.run([command, run]), (0,))
        ]


def _home(ground: Ground, rng: random.Random, folder: Path) -> list[str]:
    home = folder / "home"
    kind = rng.choice(("file", "dangling link", "pipes", "below a file", "read-only"))
    if kind == "file":
        home.write_text("")
    elif kind == "dangling link":
        home.symlink_to(folder / "nowhere" / "at all")
    elif kind == "below a file":
        home.write_text("")
        home = home / "home"
    else:
        home.mkdir()
        for name in ("trusted", "test_opened.jsonl") if kind == "pipes" else ():
            os.mkfifo(home / name)
    run = folder / "run"

    def go() -> Finished:
        return ground.run(ground.start(run), with_home(home))

    if kind == "read-only" and mounts.can_mount(folder):
        with mounts.read_only(home):
            done = go()
    else:
        done = go()
    return [f"{kind}: {line}" for line in wrong(done, (0,)) or ground.differences(run)]


def _output(ground: Ground, rng: random.Random, folder: Path) -> list[str]:
    run = ground.copy(folder / "run")
    (run / "finished.json").unlink()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "trimtab", rng.choice(("status", "report", "verify")), str(run)],
            env=environment, stdout=full, stderr=subprocess.PIPE, text=True, timeout=200,
            check=False,
        )  # fmt: skip
    said = Finished(done.returncode, "", done.stderr)
    lines = wrong(said, (6,))
    if "Exception ignored" in done.stderr:
        lines.append("python complains at its end")
    return lines or wrong(ground.run(["report", run]), (0,)) or ground.differences(run)


_VARIANTS: dict[str, Callable[[Ground, random.Random, Path], list[str]]] = {
    "files of limited size": _file_limit,
    "a full disk": _full,
    "full at the report": _full_report,
    "read-only, half done": _read_only,
    "read-only, finished": _read_only_whole,
    "an odd TRIMTAB_HOME": _home,
    "output to a full disk": _output,
}
_MOUNTED = ("a full disk", "full at the report", "read-only, half done", "read-only, finished")
