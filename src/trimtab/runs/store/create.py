"""Makes a run directory such that a kill at any moment leaves a complete run or none."""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from trimtab.core.errors import DataError, StoreError
from trimtab.core.files import remove_half_written
from trimtab.core.locks import locked
from trimtab.core.plan import Fragment, Plan
from trimtab.core.records import read_json, write_json, write_rows, write_segment
from trimtab.core.types import Completion, Record

HEAD = "plan/head.json"
OLD_PLAN = "plan.json"
"""The whole plan of a run of format 1."""
FOLDERS = {
    "samples": "samples",
    "prompts": "samples",
    "pairs": "pairs",
    "conversations": "conversations",
}
"""Where the rows of each kind of data are kept."""
DataSets = Mapping[str, Mapping[str, Sequence[Record]]]
"""Sets of rows by folder and key."""
# Its presence says that what else is there was put there by a create that did not finish.
CREATING = ".creating"
# The segment of completions that a run begins with; no attempt has the number 0.
GIVEN = "a0000-given.jsonl"
_STEM = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


def write_run(
    dir: Path,
    config: dict[str, Any],
    plan: Plan,
    data: DataSets,
    completions: Mapping[str, Sequence[Completion]],
) -> None:
    """Write a new run to ``dir``, its fragment last; arguments and errors as ``Run.create``."""
    (fragment,) = plan.fragments
    check_data(fragment, data)
    _refuse_foreign(dir)
    with locked(dir / CREATING, wait=False):
        _refuse_run(dir, config, plan)
        _remove_leftovers(dir)
        write_data(dir, data)
        for key, rows in completions.items():
            write_segment(dir / "completions" / file_stem(key) / GIVEN, rows)
        write_json(dir / "config.json", config, sealed=True)
        head = plan.model_dump(mode="json", exclude={"fragments"})
        write_json(dir / HEAD, head, sealed=True)
        write_json(dir / fragment_file(0), fragment_json(fragment), sort=False, sealed=True)
        (dir / CREATING).unlink(missing_ok=True)


def check_data(fragment: Fragment, data: DataSets) -> None:
    """Raise DataError for an id that occurs twice; everything a fragment names must be there."""
    refs = [ref for fit in fragment.fits for ref in fit.data.values()]
    named = {("samples", cell.samples) for cell in fragment.cells}
    named |= {(FOLDERS[ref.kind], ref.key) for ref in refs}
    given = {(folder, key) for folder, sets in data.items() for key in sets}
    assert named <= given, f"the data {sorted(named - given)} is missing"
    for sets in data.values():
        for key, rows in sets.items():
            _check_ids(key, [getattr(row, "id", "") for row in rows])


def write_data(dir: Path, data: DataSets) -> None:
    """Write sets of rows to their folders; one that is there already stays as it is."""
    for folder, sets in data.items():
        for key, rows in sets.items():
            path = dir / folder / f"{file_stem(key)}.jsonl"
            if not path.is_file():
                write_rows(path, rows)


def fragment_file(number: int) -> str:
    """Return where fragment ``number`` of the plan is, within the run directory."""
    return f"plan/{number:04d}.json"


def fragment_json(fragment: Fragment) -> dict[str, Any]:
    """Return what a fragment's file holds: keys sorted, but what fits read and make as declared.

    A fit reads its inputs in their order, and the last digit of what it makes depends on it.
    """
    value: dict[str, Any] = json.loads(json.dumps(fragment.model_dump(mode="json"), sort_keys=True))
    for written, fit in zip(value["fits"], fragment.fits, strict=True):
        written["inputs"] = {name: written["inputs"][name] for name in fit.inputs}
        written["artifacts"] = dict(fit.artifacts)
    return value


def file_stem(key: str) -> str:
    """Return ``key`` if it can name a file; a plan from elsewhere must not lead out of the run."""
    if not _STEM.fullmatch(key):
        raise StoreError(f"The plan holds the key {key!r}, which can't be the name of a file.")
    return key


def _check_ids(key: str, ids: Sequence[str]) -> None:
    if len(set(ids)) < len(ids):
        twice = next(id for id, count in Counter(ids).items() if count > 1)
        raise DataError(
            f"The id {twice!r} occurs twice in the set {key!r}.",
            hint="Ids must be unique within a task; correct the data or the task.",
        )


def _remove_leftovers(dir: Path) -> None:
    for name in (*dict.fromkeys(FOLDERS.values()), "completions", "plan"):
        shutil.rmtree(dir / name, ignore_errors=True)
    remove_half_written(dir)


def _refuse_foreign(dir: Path) -> None:
    """Raise StoreError if ``dir`` holds something that no ``create`` put there."""
    try:
        names = {path.name for path in dir.iterdir()}
    except FileNotFoundError:
        return
    except OSError as error:
        raise StoreError(f"{dir} can't be a run: {error.strerror or error}.") from None
    if names and CREATING not in names and not is_run(dir):
        raise StoreError(
            f"{dir} is not empty and not a run (it holds {min(names)!r}).",
            hint="Give a new or an empty folder.",
        )


def _refuse_run(dir: Path, config: dict[str, Any], plan: Plan) -> None:
    if not is_run(dir):
        return
    (dir / CREATING).unlink(missing_ok=True)
    if not (dir / OLD_PLAN).is_file() and _is_same(dir, config, plan):
        raise StoreError(
            f"{dir} holds this run already.", hint=f"Continue it with `trimtab resume {dir}`."
        )
    raise StoreError(
        f"{dir} holds another run.",
        hint=f"Give another folder, or continue that run with `trimtab resume {dir}`.",
    )


def not_a_run(path: Path, hint: str) -> StoreError:
    """Return the error for a path that is no run: absent, a file, or another folder."""
    shown = str(path.absolute())
    if not path.exists():
        return StoreError(f"The run {shown!r} does not exist.", hint=hint)
    if not path.is_dir():
        return StoreError(f"{shown!r} is a file, and a run is a folder.", hint=hint)
    return StoreError(f"{path} is not a run: it has no plan.", hint=hint)


def is_run(dir: Path) -> bool:
    """Return whether ``dir`` holds a run that was made whole."""
    return (dir / fragment_file(0)).is_file() or (dir / OLD_PLAN).is_file()


def _is_same(dir: Path, config: dict[str, Any], plan: Plan) -> bool:
    there = (read_json(dir / "config.json"), read_json(dir / fragment_file(0)))
    return there == (json.loads(json.dumps(config)), plan.fragments[0].model_dump(mode="json"))
