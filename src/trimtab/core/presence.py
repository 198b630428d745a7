"""Which rows of a folder are there: their keys alone, at a fraction of what reading them takes."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NotRequired

from pydantic import TypeAdapter
from pydantic_core import from_json
from typing_extensions import TypedDict

from trimtab.core.checksums import count_unchanged
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


_HEAD = rb'\n%b,"sample_id":"([^"\\\n]*)","index":(\d{1,18})%b,'
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
    keys, others, ends = set(since.keys), set[_Owned](), dict[str, int]()
    for path in list_segments(folder):
        start = since.ends.get(path.name, 0)
        data = read_bytes(path, start)
        own = _own_keys(data, cell, judge)
        if own is not None:
            keys |= own
        elif (rows := whole_lines(data, _KEYED)) is not None:
            others.update(map(_owned, rows))
        else:
            others.update(row for _, row in lines_of(path, _decode, result))
            continue
        ends[path.name] = start + len(data)
    strays = sorted(key for key, by in others if key[0] != cell or by != judge)
    keys |= {key for key, by in others if key[0] == cell and by == judge}
    told = (f"{folder}: the row {key} belongs elsewhere" for key in strays)
    return Presence(frozenset(keys), tuple(result.torn), (*result.invalid, *told), ends)


def row_key(line: bytes) -> RowKey:
    """Return the key of the row in a line; raise ValueError if it has none, as damage leaves it."""
    return _owned(from_json(line))[0]


def _own_keys(data: bytes, cell: str, judge: str | None) -> set[RowKey] | None:
    """Return the keys of a segment whose every line is as a writer of its folder leaves it.

    None if any is not: of another cell or judge, changed, without a checksum, or with a name that
    JSON escapes. An unchanged line begins with its key, so the rest needs no parsing.
    """
    begin = json.dumps({"cell": cell}, separators=(",", ":"))[:-1]
    by = "" if judge is None else f',"judge":{json.dumps(judge)}'
    heads = re.findall(_HEAD % (re.escape(begin.encode()), re.escape(by.encode())), b"\n" + data)
    if not len(heads) == data.count(b"\n") == count_unchanged(data):
        return None
    try:
        return {(cell, name.decode(), int(index)) for name, index in heads}
    except UnicodeDecodeError:
        return None


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
