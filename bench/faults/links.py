"""Links, pipes, devices and folders in the place of any file of a run, and runs behind links."""

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

from faults.ground import REFUSED, Ground, Outcome, ended, wrong

_COMMANDS = ("status", "verify", "report", "resume")
_ALLOWED = (0, *REFUSED, 8)
_END_S = 120.0


def play(ground: Ground, rng: random.Random, number: int, folder: Path) -> Outcome:
    """Put something odd in the place of a file; no command waits for it, follows it or breaks."""
    name = list(_ODD)[number % len(_ODD)] if number % 3 else list(_WHOLE)[number // 3 % len(_WHOLE)]
    if name in _WHOLE:
        return Outcome(name, _WHOLE[name](ground, rng, folder))
    run = ground.copy(folder / "run")
    path = rng.choice(sorted(p for p in run.rglob("*") if p.is_file()))
    within = path.relative_to(run)
    outside = folder / "outside"
    outside.write_bytes(path.read_bytes())
    path.unlink()
    _ODD[name](path, outside)
    before = outside.read_bytes()
    problems = []
    for command in _COMMANDS:
        done = ended(ground.command([command, run]), _END_S)
        problems += [f"{within}: {command}: {line}" for line in wrong(done, _ALLOWED)]
        if command == "resume" and done.code == 0 and not problems:
            problems += [f"{within}: {line}" for line in ground.differences(run)]
    if outside.read_bytes() != before:
        problems.append(f"{within}: what it leads to was written")
    return Outcome(name, problems)


def _folder(path: Path, _: Path) -> None:
    path.mkdir()


def _loop(path: Path, _: Path) -> None:
    path.symlink_to(path.name)


def _device(number: tuple[int, int]) -> Callable[[Path, Path], None]:
    def make(path: Path, _: Path) -> None:
        try:
            os.mknod(path, 0o20666, os.makedev(*number))
        except PermissionError:
            path.symlink_to("/dev/zero")

    return make


_ODD: dict[str, Callable[[Path, Path], None]] = {
    "a pipe": lambda path, _: os.mkfifo(path),
    "a dangling link": lambda path, _: path.symlink_to("/nowhere/at/all"),
    "a link to /dev/zero": lambda path, _: path.symlink_to("/dev/zero"),
    "a link to a terminal": lambda path, _: path.symlink_to("/dev/ptmx"),
    "a device": _device((1, 5)),
    "a link to itself": _loop,
    "a folder": _folder,
    "a link to a copy": lambda path, outside: path.symlink_to(outside),
    "a hard link to a copy": lambda path, outside: os.link(outside, path),
}


def _run_is_a_link(ground: Ground, rng: random.Random, folder: Path) -> list[str]:
    ground.half(folder / "real", rng.random)
    run = folder / "run"
    run.symlink_to("real")
    problems = ground.resumed(run)
    return problems if run.is_symlink() else [*problems, "the link is gone"]


def _folder_is_a_link(ground: Ground, rng: random.Random, folder: Path) -> list[str]:
    run = ground.half(folder / "run", rng.random)
    moved = rng.choice(("completions", "scores", "artifacts", "attempts", "samples", "claims"))
    shutil.move(run / moved, folder / "elsewhere")
    (run / moved).symlink_to(folder / "elsewhere")
    done = ended(ground.command(["resume", run]), _END_S)
    lines = wrong(done, _ALLOWED) or (ground.differences(run) if done.code == 0 else [])
    return [f"{moved}: {line}" for line in lines]


def _every_file_has_two_names(ground: Ground, rng: random.Random, folder: Path) -> list[str]:
    """A snapshot by hard links (``cp -al``) keeps what it had, whatever is done to the run."""
    run = ground.half(folder / "run", rng.random)
    shutil.copytree(run, folder / "snapshot", copy_function=os.link)
    paths = [path for path in (folder / "snapshot").rglob("*") if path.is_file()]
    before = {path: path.read_bytes() for path in paths}
    problems = ground.resumed(run)
    changed = [path for path in paths if path.read_bytes() != before[path]]
    return problems + [f"{path.relative_to(folder)} was changed" for path in changed]


_WHOLE: dict[str, Callable[[Ground, random.Random, Path], list[str]]] = {
    "the run is a link": _run_is_a_link,
    "a folder is a link": _folder_is_a_link,
    "hard links of all files": _every_file_has_two_names,
}
