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


def read_keys(folder: Path, cell: str) -> Presence:
    """Return which rows of a cell ``folder`` holds: completions, or scores of them.

    Lines are read as ``core.records.read_segments`` does; whether the other fields of a row are
    right is seen when the row is read.

    Raises:
        StoreError: A file can't be read.
    """
    result: ReadResult[Completion] = ReadResult()
    keys: set[RowKey] = set()
    for path in list_segments(folder):
        *lines, tail = read_bytes(path).split(b"\n")
        try:
            keys.update([_key(from_json(checked(line))) for line in lines])
            whole = not tail
        except (ValueError, ChangedError):
            whole = False
        if not whole:
            keys.update(key for _, key in lines_of(path, _decode, result))
    strays = {key for key in keys if key[0] != cell}
    return Presence(frozenset(keys - strays), tuple(result.torn), tuple(result.invalid))


def _decode(line: bytes, _: int) -> RowKey | None:
    try:
        return _key(from_json(line))
    except ValueError:
        return None


def _key(row: Any) -> RowKey:
    """Return a row's key; raise ValueError if it has none, as damage leaves it."""
    if not isinstance(row, dict):
        raise ValueError
    key = row.get("cell", ""), row.get("sample_id", ""), row.get("index", 0)
    if not (isinstance(key[0], str) and isinstance(key[1], str) and isinstance(key[2], int)):
        raise ValueError
    return key
