"""Bytes of any file of a run changed: told by name, and never another number without a word."""

import random
import shutil
from collections.abc import Callable
from pathlib import Path

from faults.ground import REFUSED, Ground, Outcome, wrong

_ALLOWED = (0, *REFUSED, 8)
# What no number follows from: notes of what happened, and of who works on what.
_PASSING = ("log.txt", "finished.json", "SHA256SUMS", ".clock")


def play(ground: Ground, rng: random.Random, number: int, folder: Path) -> Outcome:
    """Damage a file of a finished run, look at it, report on it, go on with it."""
    run = ground.copy(folder / "run")
    name = list(_DAMAGE)[number % len(_DAMAGE)]
    files = sorted(p for p in run.rglob("*") if p.is_file() and p.stat().st_size and _counts(p))
    path = rng.choice(files)
    other = rng.choice([p for p in files if p.read_bytes() != path.read_bytes()])
    before = {p: p.read_bytes() for p in (path, other)}
    _DAMAGE[name](path, other, rng)
    within = path.relative_to(run)
    if path.read_bytes() == before[path]:
        return Outcome(name)
    is_row = path.suffix == ".jsonl" and within.parts[0] in ("completions", "scores", "attempts")
    verified = ground.run(["verify", run])
    lines = wrong(verified, (0, 6))
    # a row that is gone is owed, as after a crash, and nobody is told another number
    if verified.code != 6 and not is_row:
        lines.append("verify finds nothing")
    reported = ground.run(["report", run])
    lines += [f"report: {line}" for line in wrong(reported, _ALLOWED)]
    unsaid = verified.code == 0 == reported.code and _differs(ground, run)
    if unsaid and _status(ground, run) == _status(ground, ground.whole):
        lines.append("another summary without a word")
    resumed = ground.run(["resume", run])
    lines += [f"resume: {line}" for line in wrong(resumed, _ALLOWED)]
    if resumed.code == 0 and _differs(ground, run) and (is_row or verified.code == 0):
        lines.append("another summary after resume")
    return Outcome(name, [f"{within}: {line}" for line in lines])


def _status(ground: Ground, run: Path) -> list[str]:
    """Return what ``status`` says of phases and checks."""
    return ground.run(["status", run]).out.replace(str(run), "").splitlines()[1:]


def _counts(path: Path) -> bool:
    return path.name not in _PASSING and "claims" not in path.parts and path.suffix != ".lock"


def _differs(ground: Ground, run: Path) -> bool:
    return (run / "summary.json").read_bytes() != (ground.whole / "summary.json").read_bytes()


def _truncate(path: Path, _: Path, rng: random.Random) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: rng.randrange(len(data))])


def _flip(path: Path, _: Path, rng: random.Random) -> None:
    data = bytearray(path.read_bytes())
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    path.write_bytes(data)


def _zeros(path: Path, _: Path, rng: random.Random) -> None:
    data = bytearray(path.read_bytes())
    start = rng.randrange(len(data))
    stop = min(len(data), start + rng.randint(1, 512))
    data[start:stop] = bytes(stop - start)
    path.write_bytes(data)


def _append(path: Path, _: Path, rng: random.Random) -> None:
    with path.open("ab") as file:
        file.write(
            rng.choice((b"\n", b"{}\n", b"\xff\x00\n", b" ", b"[1, 2]\n", path.read_bytes()))
        )


def _swap(path: Path, other: Path, _: random.Random) -> None:
    path_data, other_data = path.read_bytes(), other.read_bytes()
    path.write_bytes(other_data)
    other.write_bytes(path_data)


def _replace(path: Path, other: Path, _: random.Random) -> None:
    shutil.copyfile(other, path)


def _line_out(path: Path, _: Path, rng: random.Random) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    del lines[rng.randrange(len(lines))]
    path.write_bytes(b"".join(lines))


_DAMAGE: dict[str, Callable[[Path, Path, random.Random], None]] = {
    "cut": _truncate,
    "a bit flipped": _flip,
    "zeros": _zeros,
    "appended": _append,
    "swapped": _swap,
    "another's content": _replace,
    "a line out": _line_out,
}
