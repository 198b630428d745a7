"""Makes a run directory such that a kill at any moment leaves a complete run or none."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from trimtab.core.errors import DataError, StoreError
from trimtab.core.files import remove_half_written
from trimtab.core.locks import locked
from trimtab.core.plan import Plan
from trimtab.core.records import read_json, write_json, write_rows
from trimtab.core.types import Completion, ContrastPair, Record, Sample

# Its presence says that what else is there was put there by a create that did not finish.
CREATING = ".creating"
# The segment of completions that a run begins with; no attempt has the number 0.
GIVEN = "a0000-given.jsonl"
_STEM = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


def write_run(
    dir: Path,
    config: dict[str, Any],
    plan: Plan,
    samples: Mapping[str, Sequence[Sample]],
    pairs: Mapping[str, Sequence[ContrastPair]],
    completions: Mapping[str, Sequence[Completion]],
) -> None:
    """Write a new run to ``dir``, ``plan.json`` last; arguments and errors as ``Run.create``."""
    assert {cell.samples for cell in plan.cells} <= set(samples), "a cell's samples are missing"
    needed = {key for a in plan.artifacts for key in (a.pairs, a.select_pairs) if key is not None}
    assert needed <= set(pairs), "an artifact's pairs are missing"
    prompts = {some.samples for a in plan.artifacts for some in a.prompts}
    assert prompts <= set(samples), "a condition's prompts are missing"
    for key, some in samples.items():
        _check_ids(key, [row.id for row in some])
    for key, some_pairs in pairs.items():
        _check_ids(key, [row.id for row in some_pairs])
    _refuse_foreign(dir)
    with locked(dir / CREATING, wait=False):
        _refuse_run(dir, config, plan)
        _remove_leftovers(dir)
        _write_sets(dir / "samples", samples)
        _write_sets(dir / "pairs", pairs)
        for key, rows in completions.items():
            write_rows(dir / "completions" / file_stem(key) / GIVEN, rows)
        write_json(dir / "config.json", config)
        write_json(dir / "plan.json", plan)
        (dir / CREATING).unlink(missing_ok=True)


def file_stem(key: str) -> str:
    """Return ``key`` if it can name a file; a plan from elsewhere must not lead out of the run."""
    if not _STEM.fullmatch(key):
        raise StoreError(f"The plan holds the key {key!r}, which can't be the name of a file.")
    return key


def _check_ids(key: str, ids: Sequence[str]) -> None:
    if len(set(ids)) < len(ids):
        twice = next(i for n, i in enumerate(ids) if i in ids[:n])
        raise DataError(
            f"The id {twice!r} occurs twice in the set {key!r}.",
            hint="Ids must be unique within a task; correct the data or the task.",
        )


def _remove_leftovers(dir: Path) -> None:
    for name in ("samples", "pairs", "completions"):
        shutil.rmtree(dir / name, ignore_errors=True)
    remove_half_written(dir)


def _write_sets(folder: Path, sets: Mapping[str, Sequence[Record]]) -> None:
    for key, rows in sets.items():
        write_rows(folder / f"{file_stem(key)}.jsonl", rows)


def _refuse_foreign(dir: Path) -> None:
    """Raise StoreError if ``dir`` holds something that no ``create`` put there."""
    try:
        names = {path.name for path in dir.iterdir()}
    except FileNotFoundError:
        return
    except OSError as error:
        raise StoreError(f"{dir} can't be a run: {error.strerror or error}.") from None
    if names and not names & {"plan.json", CREATING}:
        raise StoreError(
            f"{dir} is not empty and not a run (it holds {min(names)!r}).",
            hint="Give a new or an empty folder.",
        )


def _refuse_run(dir: Path, config: dict[str, Any], plan: Plan) -> None:
    if not (dir / "plan.json").is_file():
        return
    (dir / CREATING).unlink(missing_ok=True)
    there = (read_json(dir / "config.json"), read_json(dir / "plan.json"))
    if there == (json.loads(json.dumps(config)), plan.model_dump(mode="json")):
        raise StoreError(
            f"{dir} holds this run already.", hint=f"Continue it with `trimtab resume {dir}`."
        )
    raise StoreError(
        f"{dir} holds another run.",
        hint=f"Give another folder, or continue that run with `trimtab resume {dir}`.",
    )
