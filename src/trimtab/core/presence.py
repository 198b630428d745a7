"""Which rows of a folder are there: their keys alone, at a fraction of what reading them takes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic_core import from_json

from trimtab.core.checksums import ChangedError, checked
from trimtab.core.files import read_bytes
from trimtab.core.records import ReadResult, lines_of, list_segments
from trimtab.core.types import Completion

RowKey = tuple[str, str, int]
"""(cell, sample, index)."""
_Owned = tuple[RowKey, str | None]
"""A row's key, and of a score its judge."""


@dataclass(frozen=True)
class Presence:
    """What a folder of segments holds.

    Attributes:
        keys: Keys of its rows.
        torn: ``file:line: what`` for each last line that a crash left unfinished.
        invalid: ``file:line: what`` for each other line that can't be read, or was changed.
    """

    keys: frozenset[RowKey]
    torn: tuple[str, ...] = ()
    invalid: tuple[str, ...] = ()


def read_keys(folder: Path, cell: str, judge: str | None = None) -> Presence:
    """Return which rows of a cell ``folder`` holds: completions, or scores of them by ``judge``.

    Lines are read as ``core.records.read_segments`` does; whether the other fields of a row are
    right is seen when the row is read. A row of another cell or judge is not there.

    Raises:
        StoreError: A file can't be read.
    """
    result: ReadResult[Completion] = ReadResult()
    found: set[_Owned] = set()
    for path in list_segments(folder):
        *lines, tail = read_bytes(path).split(b"\n")
        try:
            found.update([_owned(from_json(checked(line))) for line in lines])
            whole = not tail
        except (ValueError, ChangedError):
            whole = False
        if not whole:
            found.update(row for _, row in lines_of(path, _decode, result))
    strays = sorted(key for key, by in found if key[0] != cell or by != judge)
    return Presence(
        frozenset(key for key, by in found if key[0] == cell and by == judge),
        tuple(result.torn),
        (*result.invalid, *(f"{folder}: the row {key} belongs elsewhere" for key in strays)),
    )


def _decode(line: bytes, _: int) -> _Owned | None:
    try:
        return _owned(from_json(line))
    except ValueError:
        return None


def _owned(row: Any) -> _Owned:
    """Return a row's key and judge; raise ValueError if it has none, as damage leaves it."""
    if not isinstance(row, dict):
        raise ValueError
    key = row.get("cell", ""), row.get("sample_id", ""), row.get("index", 0)
    if not (isinstance(key[0], str) and isinstance(key[1], str) and isinstance(key[2], int)):
        raise ValueError
    judge = row.get("judge")
    return key, judge if isinstance(judge, str) else None
