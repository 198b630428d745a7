"""Artifacts that a copy brings: each folder is taken whole or not at all, and never an older one.

A training that is under way writes files that belong together one after the other; of two moments
of it nobody can go on. So what a run has of an artifact is what one copy had at one moment.
"""

from __future__ import annotations

import math
import os
import re
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from trimtab.compute.ssh.pieces import copy_first
from trimtab.core.errors import StoreError
from trimtab.core.files import make_dir, sync_dir
from trimtab.core.seals import known_sums
from trimtab.core.temporary import temporary

_STEP = re.compile(r"(.*)/step-(\d+)/.*")
_LAST = "artifact.json"
_OLD = ".old"
_TENSORS = ".safetensors"


def artifact_of(name: str) -> str | None:
    """Return the folder of the artifact that a file of a run belongs to; None for other files."""
    top, *rest = name.split("/")
    return f"{top}/{rest[0]}" if top == "artifacts" and len(rest) > 1 else None


def complete(names: Iterable[str]) -> set[str]:
    """Return the folders of the artifacts that are complete, of files of a run."""
    folders = ((name, artifact_of(name)) for name in names)
    return {folder for name, folder in folders if folder and name == f"{folder}/{_LAST}"}


def put_right(run_dir: Path) -> None:
    """Give a run back an artifact that was moved aside, and whose successor never came.

    Raises:
        StoreError: It can't be moved.
    """
    for old in (run_dir / "ssh").glob(f"*{_OLD}"):
        target = run_dir / "artifacts" / old.name.removesuffix(_OLD)
        if target.is_dir():
            shutil.rmtree(old, ignore_errors=True)
            continue
        try:
            os.rename(old, target)
        except OSError as error:
            raise StoreError(
                f"{old} can't be moved back to {target}: {error.strerror or error}.",
                hint="The run directory must be writable; change its permissions.",
            ) from error


def made_otherwise(copy: Path, run_dir: Path, names: Iterable[str]) -> set[str]:
    """Return the keys of complete artifacts of a copy whose tensors are not those of the run's.

    The seals of both tell. An artifact without any counts as the same.

    Args:
        copy: The copy.
        run_dir: The run.
        names: The files of the copy, by their paths within the run.

    Raises:
        StoreError: A list of checksums can't be read.
    """
    keys = set()
    for folder in complete(names):
        if (run_dir / folder / _LAST).is_file():
            theirs, ours = known_sums(copy / folder), known_sums(run_dir / folder)
            tensors = [name for name in theirs.keys() & ours.keys() if name.endswith(_TENSORS)]
            if any(theirs[name].isdisjoint(ours[name]) for name in tensors):
                keys.add(Path(folder).name)
    return keys


def take_artifact(copy: Path, run_dir: Path, folder: str, sizes: Mapping[str, int]) -> int:
    """Replace an artifact of a run by that of a copy, if that is further; return by how many files.

    Args:
        copy: The copy.
        run_dir: The run.
        folder: The folder of the artifact.
        sizes: How much of each file was verified, by paths within the run.

    Raises:
        StoreError: It can't be written.
    """
    target = run_dir / folder
    here = [path.relative_to(run_dir).as_posix() for path in target.rglob("*") if path.is_file()]
    if _progress(folder, sizes) <= _progress(folder, here):
        return 0
    new, old = temporary(run_dir / "ssh" / target.name), run_dir / "ssh" / f"{target.name}{_OLD}"
    try:
        for name, size in sizes.items():
            path = new / Path(name).relative_to(folder)
            make_dir(path.parent)
            copy_first(copy / name, path, size)
        make_dir(target.parent)
        if target.is_dir():
            os.rename(target, old)
        os.rename(new, target)
        sync_dir(target.parent)
    except OSError as error:
        shutil.rmtree(new, ignore_errors=True)
        put_right(run_dir)
        raise StoreError(
            f"{target} can't be written: {error.strerror or error}.",
            hint="The run directory must be writable; free space or change its permissions.",
        ) from error
    shutil.rmtree(old, ignore_errors=True)
    return len(sizes)


def _progress(folder: str, names: Iterable[str]) -> float:
    """Return how far an artifact is: updates of its trainings, infinity once it is complete."""
    names = list(names)
    if f"{folder}/{_LAST}" in names:
        return math.inf
    newest: dict[str, int] = {}
    for found in filter(None, map(_STEP.fullmatch, names)):
        newest[found[1]] = max(newest.get(found[1], 0), int(found[2]))
    return sum(newest.values()) if names else -1
