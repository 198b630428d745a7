"""Reads what a run directory holds into the shapes that it should have, with one line where not."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from trimtab import __version__
from trimtab.core.errors import StoreError
from trimtab.core.keys import content_key
from trimtab.core.lines import ReadResult
from trimtab.core.records import list_segments, read_json, read_rows
from trimtab.core.seals import is_sealed
from trimtab.core.types import Record

B = TypeVar("B", bound=BaseModel)
M = TypeVar("M", bound=Record)
T = TypeVar("T")

OBJECT: TypeAdapter[dict[str, Any]] = TypeAdapter(dict[str, Any])
OBJECTS: TypeAdapter[list[dict[str, Any]]] = TypeAdapter(list[dict[str, Any]])
STRENGTHS: TypeAdapter[dict[str, dict[str, float]]] = TypeAdapter(dict[str, dict[str, float]])

Signature = tuple[tuple[str, int, int, int], ...]
"""Name, size, time of change and number (inode) of each segment of a folder."""


@dataclass
class Faults:
    """What was wrong with rows that were read, a line each, with the files' paths within the run.

    Attributes:
        rows: Rows that count.
        torn: Last lines that a crash left unfinished.
        invalid: Other lines that can't be read, were changed, or belong elsewhere.
        conflicts: Rows that say something else than an earlier one of their key.
        repeated: Folders with rows that were there before, and how many.
    """

    rows: int = 0
    torn: list[str] = field(default_factory=list)
    invalid: list[str] = field(default_factory=list)
    conflicts: list[str] = field(default_factory=list)
    repeated: list[str] = field(default_factory=list)

    def add(self, result: ReadResult[Any], count: int, folder: Path, run: Path) -> None:
        """Add what reading a folder of the run brought: faults, and how many rows count."""
        self.rows += count
        for own, lines in (
            (self.torn, result.torn),
            (self.invalid, result.invalid),
            (self.conflicts, result.conflicts),
        ):
            own += [line.removeprefix(f"{run}/") for line in lines]
        if result.duplicates:
            what = f"{folder}: {result.duplicates} repeated rows; the first ones count"
            self.repeated.append(what.removeprefix(f"{run}/"))


_HASH = re.compile(r"[0-9a-f]{16}")


def read_shaped(shape: TypeAdapter[T], path: Path) -> T:
    """Return the value of a JSON file; raise StoreError if it has another shape, too."""
    value = read_json(path)
    try:
        return shape.validate_python(value)
    except ValidationError as error:
        raise misfit(path, _first(error)) from None


def parse(model: type[B], value: Any, path: Path) -> B:
    """Return ``value``, which ``path`` holds, as ``model``; raise StoreError if it does not fit."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise misfit(path, _first(error)) from None


def misfit(path: Path, what: str) -> StoreError:
    """Return the error for a file that this version can't have written."""
    return StoreError(
        f"{path} does not fit trimtab {__version__}: {what}.",
        hint="It is damaged, or another version of trimtab wrote it (see "
        "attempts/*/manifest.json): use that version, or start a new run.",
    )


def read_data(path: Path, key: str, model: type[M]) -> list[M]:
    """Return a set of rows; raise StoreError if it is not the one that was planned.

    A run of an earlier version has no list of checksums, but a set's key is one, of the rows.
    """
    rows = read_rows(path, model)
    if not is_sealed(path) and not fits_key(rows, key):
        raise StoreError(
            f"{path} is not what its name says: its rows have another hash.",
            hint="Something changed it: restore it from a copy, or start a new run.",
        )
    return rows


def fits_key(rows: Sequence[Record], key: str) -> bool:
    """Return whether ``key`` is the hash of ``rows``; a key that is no hash fits all."""
    return not _HASH.fullmatch(key) or content_key(list(rows)) == key


def signature(folder: Path) -> Signature:
    """Return what changes whenever a segment is added or grows."""
    found = []
    for path in list_segments(folder):
        try:
            info = path.stat()
        except OSError:  # a link to nothing, say: reading it tells what is wrong
            found.append((path.name, -1, -1, -1))
        else:
            found.append((path.name, info.st_size, info.st_mtime_ns, info.st_ino))
    return tuple(found)


def has_grown(before: Signature, after: Signature) -> bool:
    """Return whether a folder holds all that it held, as it was or with more at its end."""
    now = {name: (size, time, file) for name, size, time, file in after}
    for name, size, time, file in before:
        now_size, now_time, now_file = now.get(name, (-1, -1, -1))
        if now_file != file or now_size < size or (now_size == size and now_time != time):
            return False
    return True


def _first(error: ValidationError) -> str:
    first = error.errors()[0]
    name = ".".join(str(part) for part in first["loc"])
    return f"{name!r}: {first['msg']}" if name else str(first["msg"])
