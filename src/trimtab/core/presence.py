"""Which rows of a folder are there: their keys alone, at a fraction of what reading them takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NotRequired

from pydantic import TypeAdapter
from pydantic_core import from_json
from typing_extensions import TypedDict

from trimtab.core.files import read_bytes
from trimtab.core.lines import ReadResult, lines_of, whole_lines
from trimtab.core.records import list_segments
from trimtab.core.types import Completion

RowKey = tuple[str, str, int]
"""(cell, sample, index)."""
_Owned = tuple[RowKey, str | None]
"""A row's key, and of a score its judge."""


class _Keyed(TypedDict):
    """The fields of a row that are its key, and of a score its judge; others are passed over."""

    cell: str
    sample_id: str
    index: NotRequired[int]
    judge: NotRequired[str | None]


_KEYED = TypeAdapter(list[_Keyed])


@dataclass(frozen=True)
class Presence:
    """What a folder of segments holds.

    Attributes:
        keys: Keys of its rows.
        torn: ``file:line: what`` for each last line that a crash left unfinished.
        invalid: ``file:line: what`` for each other line that can't be read, or was changed.
        ends: How far each file without a fault was read, in bytes.
    """

    keys: frozenset[RowKey]
    torn: tuple[str, ...] = ()
    invalid: tuple[str, ...] = ()
    ends: Mapping[str, int] = field(default_factory=dict)


NOTHING = Presence(frozenset())


def read_keys(
    folder: Path, cell: str, judge: str | None = None, since: Presence = NOTHING
) -> Presence:
    """Return which rows of a cell ``folder`` holds: completions, or scores of them by ``judge``.

    Lines are read as ``core.records.read_segments`` does; whether the other fields of a row are
    right is seen when the row is read. A row of another cell or judge is not there.

    Args:
        folder: The folder.
        cell: Key of the cell.
        judge: Key of the judge whose scores they are; None for completions.
        since: What was found before in the same files, without a fault: they are read from where
            they ended then.

    Raises:
        StoreError: A file can't be read.
    """
    result: ReadResult[Completion] = ReadResult()
    found: set[_Owned] = set()
    ends: dict[str, int] = {}
    for path in list_segments(folder):
        start = since.ends.get(path.name, 0)
        data = read_bytes(path, start)
        rows = whole_lines(data, _KEYED)
        if rows is None:
            found.update(row for _, row in lines_of(path, _decode, result))
        else:
            found.update(map(_owned, rows))
            ends[path.name] = start + len(data)
    strays = sorted(key for key, by in found if key[0] != cell or by != judge)
    return Presence(
        since.keys.union(key for key, by in found if key[0] == cell and by == judge),
        tuple(result.torn),
        (*result.invalid, *(f"{folder}: the row {key} belongs elsewhere" for key in strays)),
        ends,
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
