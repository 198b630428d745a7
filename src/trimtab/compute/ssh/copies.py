"""Copies of a run: which files they have, whether a copy is whole, and what is taken from one.

A copy is compared by size and SHA-256 with what the other side says it has. Some files grow
meanwhile: of these the part counts that was there when the other side was asked.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from trimtab.core.errors import StoreError
from trimtab.core.files import append_synced, make_dir
from trimtab.core.seals import SUMS

Sums = Mapping[str, tuple[int, str]]
"""Size and SHA-256 of files, by their paths within a run."""

LEFT_OUT = (
    "/claims/",
    "/ssh/",
    "/slurm/",
    "/ray/",
    "/report/",
    "/finished.json",
    ".*.lock",
    ".*.tmp",
)
"""What is of one machine alone, or is made anew."""

_SHARED = ("samples", "pairs", "conversations", "plan")
_GROWING = ("completions", "scores", "attempts")
_FOLDERS = (*_SHARED, "artifacts", *_GROWING)
_LAST = "artifact.json"
_CHUNK = 1 << 20


def sums(run_dir: Path, *, whole: bool = False) -> dict[str, tuple[int, str]]:
    """Return what a run has: its results and attempts, or everything that is copied to hosts."""
    found = {}
    for path in _files(run_dir, whole):
        try:
            size = path.stat().st_size
            found[path.relative_to(run_dir).as_posix()] = (size, _digest(path, size))
        except FileNotFoundError:  # half written, or an old checkpoint
            continue
    return found


def differing(copy: Path, expected: Sums) -> list[str]:
    """Return the files of which a copy lacks something, or has something else."""
    wrong = []
    for name, (size, digest) in expected.items():
        path = copy / name
        same = path.is_file() and path.stat().st_size >= size and _digest(path, size) == digest
        if not same:
            wrong.append(name)
    return sorted(wrong)


def merge(copy: Path, run_dir: Path, expected: Sums) -> int:
    """Take results from a verified copy into a run; return how many files were new or longer.

    Args:
        copy: The copy; what ``expected`` does not name is left there.
        run_dir: The run.
        expected: What was verified.

    Raises:
        StoreError: A file that never changes differs, or the run can't be written.
    """
    done = {name.rpartition("/")[0] for name in expected if name.endswith(f"/{_LAST}")}
    done = {folder for folder in done if (run_dir / folder / _LAST).is_file()}
    taken = 0
    for name in sorted(expected, key=_order):
        folder, _, file = name.rpartition("/")
        if name.startswith("artifacts/") and any(_within(folder, one) for one in done):
            continue  # it was made here, or taken before
        if file == SUMS and name.partition("/")[0] in _SHARED:
            taken += _add_lines(copy / name, run_dir / name)
        else:
            grows = name.partition("/")[0] in _GROWING and not name.endswith(".json")
            taken += _take(copy / name, run_dir / name, expected[name][0], grows=grows)
    return taken


def _files(run_dir: Path, whole: bool) -> Iterator[Path]:
    tops = [path for path in sorted(run_dir.iterdir()) if whole or path.name in _FOLDERS]
    for top in tops:
        if top.is_file() and not top.name.startswith(".") and top.name != "finished.json":
            yield top
        elif top.is_dir() and f"/{top.name}/" not in LEFT_OUT:
            for folder, folders, names in os.walk(top):
                folders[:] = sorted(name for name in folders if not name.startswith("."))
                yield from (Path(folder) / n for n in sorted(names) if not n.startswith("."))


def _order(name: str) -> tuple[bool, int, bool, str]:
    """Sort so that whatever names others comes after them, and a plan after its data."""
    top, _, rest = name.partition("/")
    return rest.endswith(_LAST), _FOLDERS.index(top), not rest.endswith(SUMS), name


def _within(folder: str, parent: str) -> bool:
    return folder == parent or folder.startswith(f"{parent}/")


def _take(source: Path, target: Path, size: int, *, grows: bool) -> bool:
    """Copy the first ``size`` bytes, unless they are there; if it grows, only where it has."""
    if target.is_file():
        have = target.stat().st_size
        if grows and have >= size:
            return False
        if have == size and _digest(target, size) == _digest(source, size):
            return False
        if target.parent.name == "plan":
            raise StoreError(
                f"{target} says otherwise than the copy of a host: the plan grew differently.",
                hint="Go on with the copy of one host alone, in a new folder.",
            )
    make_dir(target.parent)
    half = target.with_name(f".{target.name}.tmp")
    try:
        with source.open("rb") as read, half.open("wb") as write:
            for data in _first(read, size):
                write.write(data)
            write.flush()
            os.fsync(write.fileno())
        os.replace(half, target)
    except OSError as error:
        raise StoreError(
            f"{target} can't be written: {error.strerror or error}.",
            hint="The run directory must be writable; free space or change its permissions.",
        ) from error
    return True


def _add_lines(source: Path, target: Path) -> bool:
    """Add the lines of a list of checksums that another does not have."""
    have = set(target.read_text().splitlines()) if target.is_file() else set()
    new = [line for line in source.read_text().splitlines() if line not in have]
    if not new:
        return False
    make_dir(target.parent)
    append_synced(target, "".join(f"{line}\n" for line in new).encode())
    return True


def _first(file: BinaryIO, size: int) -> Iterator[bytes]:
    """Yield the first ``size`` bytes of a file, in pieces."""
    while data := file.read(min(_CHUNK, size)):
        size -= len(data)
        yield data


def _digest(path: Path, size: int) -> str:
    seen = hashlib.sha256()
    with path.open("rb") as file:
        for data in _first(file, size):
            seen.update(data)
    return seen.hexdigest()
