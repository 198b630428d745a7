"""Copies of a run: which files they have, whether a copy is whole, and what is taken from one.

A copy is compared by size and SHA-256 with what the other side says it has. Some files grow
meanwhile: of these the part counts that was there when the other side was asked.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Mapping, Set
from pathlib import Path

from trimtab.compute.ssh.artifacts import artifact_of, made_otherwise, put_right, take_artifact
from trimtab.compute.ssh.pieces import copy_first, first_digest
from trimtab.compute.ssh.rows import add_rows
from trimtab.core.errors import StoreError
from trimtab.core.files import append_synced, make_dir
from trimtab.core.seals import SUMS
from trimtab.core.temporary import temporary
from trimtab.runs.store.run import Run

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
_FOLDERS = (*_SHARED, "artifacts", "completions", "scores", "attempts")


def sums(run_dir: Path, *, whole: bool = False) -> dict[str, tuple[int, str]]:
    """Return what a run has: its results and attempts, or everything that is copied to hosts."""
    found = {}
    for path in _files(run_dir, whole):
        try:
            size = path.stat().st_size
            found[path.relative_to(run_dir).as_posix()] = (size, first_digest(path, size))
        except FileNotFoundError:  # half written, or an old checkpoint
            continue
    return found


def differing(copy: Path, expected: Sums) -> list[str]:
    """Return the files of which a copy lacks something, or has something else."""
    wrong = []
    for name, (size, digest) in expected.items():
        path = copy / name
        same = path.is_file() and path.stat().st_size >= size and first_digest(path, size) == digest
        if not same:
            wrong.append(name)
    return sorted(wrong)


def merge(copy: Path, run_dir: Path, expected: Sums) -> int:
    """Take results from a verified copy into a run; return how many files were new or longer.

    Whatever names others comes after them: a plan after its data, artifacts after the plan, rows
    after artifacts. Rows that were made with an artifact that is another one here are left out.

    Args:
        copy: The copy; what ``expected`` does not name is left there.
        run_dir: The run.
        expected: What was verified.

    Raises:
        StoreError: A file that never changes differs, or the run can't be written.
    """
    tops: dict[str, dict[str, int]] = defaultdict(dict)
    artifacts: dict[str, dict[str, int]] = defaultdict(dict)
    for name in sorted(expected, key=lambda name: (not name.endswith(SUMS), name)):
        tops[name.partition("/")[0]][name] = expected[name][0]
        if folder := artifact_of(name):
            artifacts[folder][name] = expected[name][0]
    put_right(run_dir)
    taken = 0
    for name, size in (item for top in _SHARED for item in tops[top].items()):
        if name.endswith(SUMS):
            taken += _add_lines(copy / name, run_dir / name)
        else:
            taken += _take(copy / name, run_dir / name, size, grows=False)
    for folder, sizes in artifacts.items():
        taken += take_artifact(copy, run_dir, folder, sizes)
    others = made_otherwise(copy, run_dir, expected)
    foreign = _in_need_of(run_dir, others) if others else frozenset()
    taken += add_rows(copy, run_dir, tops["completions"] | tops["scores"], foreign)
    for name, size in tops["attempts"].items():
        taken += _take(copy / name, run_dir / name, size, grows=not name.endswith(".json"))
    return taken


def _in_need_of(run_dir: Path, artifacts: Set[str]) -> frozenset[str]:
    """Return the keys of the cells and judges of a run that need any of some artifacts."""
    plan = Run.open(run_dir).plan
    needs = {each.key: each.artifacts for each in plan.cells}
    needs |= {each.key: each.artifacts for each in plan.judges}
    return frozenset(key for key, made in needs.items() if not artifacts.isdisjoint(made.values()))


def _files(run_dir: Path, whole: bool) -> Iterator[Path]:
    tops = [path for path in sorted(run_dir.iterdir()) if whole or path.name in _FOLDERS]
    for top in tops:
        if top.is_file() and not top.name.startswith(".") and top.name != "finished.json":
            yield top
        elif top.is_dir() and f"/{top.name}/" not in LEFT_OUT:
            for folder, folders, names in os.walk(top):
                folders[:] = sorted(name for name in folders if not name.startswith("."))
                yield from (Path(folder) / n for n in sorted(names) if not n.startswith("."))


def _take(source: Path, target: Path, size: int, *, grows: bool) -> bool:
    """Copy the first ``size`` bytes, unless they are there; if it grows, only where it has."""
    if target.is_file():
        have = target.stat().st_size
        if grows and have >= size:
            return False
        if have == size and first_digest(target, size) == first_digest(source, size):
            return False
        if target.parent.name == "plan":
            raise StoreError(
                f"{target} says otherwise than the copy of a host: the plan grew differently.",
                hint="Go on with the copy of one host alone, in a new folder.",
            )
    make_dir(target.parent)
    half = temporary(target)
    try:
        copy_first(source, half, size)
        os.replace(half, target)
    except OSError as error:
        half.unlink(missing_ok=True)
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
