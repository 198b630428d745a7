"""The files of a run: append-only segments of JSON lines, and small files that are replaced whole.

A segment has one writer for ever, so writers never meet and a crash can only tear its last line.
Readers merge all segments of a folder by the rows' keys; what they can't read they report. A line
ends with a line feed alone: texts may hold other characters that Python counts as line breaks.

A row of a segment carries a checksum, ``crc``, of everything in it but ``attempt`` and ``time``, so
equal rows have equal ones. A line that does not fit its checksum was changed after it was written,
and counts as damaged: what it said is not there. Files that are written whole are sealed, see
``core.seals``.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from trimtab import __version__
from trimtab.core.checksums import ChangedError, checked, with_checksum
from trimtab.core.errors import StoreError
from trimtab.core.files import (
    create_file,
    create_whole,
    dumps,
    read_bytes,
    replace_file,
    write_all,
    write_error,
)
from trimtab.core.lines import R, ReadResult, lines_of, whole_lines
from trimtab.core.seals import check_data, seal
from trimtab.core.types import Completion, Record, Score

M = TypeVar("M", bound=Record)

_SHAPES: dict[type[Any], TypeAdapter[Any]] = {
    Completion: TypeAdapter(list[Completion]),
    Score: TypeAdapter(list[Score]),
}
# What pydantic says of a line that is no JSON object at all, as damage leaves it.
_DAMAGE = {"json_invalid", "model_type"}


class SegmentWriter:
    """Appends rows to a file of its own; the file is made by the first append.

    Every append is on the disk when it returns, unless its sync is put off. After an error the
    writer is closed and the file ends with its last whole line. Not for use by several threads at
    once.
    """

    def __init__(self, path: Path) -> None:
        """Name the file; it must not exist when the first row is appended."""
        self.path = path
        self._fd: int | None = None
        self._made = False
        self._closed = False
        self._num_unsynced = 0

    def append(
        self,
        rows: Sequence[Record],
        fence: Callable[[], None] | None = None,
        *,
        sync: bool = True,
    ) -> None:
        """Write ``rows`` as whole lines and sync them.

        Args:
            rows: The rows.
            fence: Called before anything is written; raises if the writer may not write any more.
            sync: Wait for the disk. Otherwise the rows are with the operating system: the end of
                this process loses none of them, that of the machine those since the last ``sync``.

        Raises:
            StoreError: The file exists already, or the disk is full or broken. Whole lines that
                were written stay.
            NonFiniteError: A row holds NaN or infinity; nothing is written.
        """
        assert not self._closed, f"{self.path} is closed"
        data = b"".join(with_checksum(_encode(row, self.path)) for row in rows)
        if not data:
            return
        if fence is not None:
            fence()
        start = None
        try:
            if self._fd is None:
                self._fd = self._open()
            start = os.fstat(self._fd).st_size
            write_all(self._fd, data)
        except OSError as error:
            # nothing was written where its place is not known, so nothing is cut
            kept = 0 if start is None else self._cut_back(start, data)
            self.close()
            raise write_error(self.path, error, len(data) - kept) from error
        self._num_unsynced += len(data)
        if sync:
            self.sync()

    def sync(self) -> None:
        """Put what was appended on the disk.

        Raises:
            StoreError: The disk is full or broken.
        """
        if self._fd is None or not self._num_unsynced:
            return
        try:
            os.fsync(self._fd)
        except OSError as error:
            self.close()
            raise write_error(self.path, error, self._num_unsynced) from error
        self._num_unsynced = 0

    def rest(self) -> None:
        """Give the file back to the system until the next append: a process may hold only so many.

        Raises:
            StoreError: The disk is full or broken.
        """
        self.sync()
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _open(self) -> int:
        if self._made:
            return os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW)
        fd = create_file(self.path)
        self._made = True
        return fd

    def _cut_back(self, start: int, data: bytes) -> int:
        """Cut a half-written line off the end; return how many bytes of ``data`` stay."""
        assert self._fd is not None
        kept = 0
        # If even this fails, the torn line stays and readers drop it.
        with contextlib.suppress(OSError):
            written = os.fstat(self._fd).st_size - start
            kept = data.rfind(b"\n", 0, written) + 1
            os.ftruncate(self._fd, start + kept)
            os.fsync(self._fd)
        return kept

    def close(self) -> None:
        """Close the file; nothing can be appended afterwards."""
        self._closed = True
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def __enter__(self) -> SegmentWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def list_segments(folder: Path) -> list[Path]:
    """Return the segments of a folder by name; none if there is no folder.

    Raises:
        StoreError: It is no folder, or can't be read: what it holds must not pass for missing.
    """
    try:
        return sorted(folder / n for n in os.listdir(folder) if n.endswith(".jsonl"))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StoreError(
            f"{folder} can't be read: {error.strerror or error}.",
            hint="Change its permissions, or restore it from a copy.",
        ) from error


def read_segments(
    folder: Path, model: type[R], belongs: Callable[[R], bool] | None = None
) -> ReadResult[R]:
    """Merge all ``*.jsonl`` segments of ``folder`` in the order of their names; first wins.

    A folder that does not exist is empty. Torn and damaged lines, and rows that do not belong
    there, are dropped and reported.

    Raises:
        StoreError: A file can't be read, or a row does not fit this version of trimtab.
    """
    result: ReadResult[R] = ReadResult()
    merged: dict[tuple[str, str, int], R] = {}
    strays: dict[str, None] = {}
    for path in list_segments(folder):
        for number, row in _numbered(path, model, result):
            key = row.key
            if belongs is not None and not belongs(row):
                strays[f"{folder}: the row {key} belongs elsewhere"] = None
                continue
            first = merged.setdefault(key, row)
            if first is not row:
                result.duplicates += 1
                if _content(first) != _content(row):
                    result.conflicts.append(
                        f"{path}:{number}: differs from an earlier row with the key {key}"
                    )
    result.invalid += strays
    result.rows = [merged[key] for key in sorted(merged)]
    return result


def _numbered(path: Path, model: type[R], result: ReadResult[Any]) -> Iterable[tuple[int, R]]:
    """Return number and row of each line that can be read; the others are noted in ``result``."""
    shape: TypeAdapter[list[R]] = _SHAPES[model]
    rows = whole_lines(read_bytes(path), shape)
    if rows is not None:
        return enumerate(rows, start=1)
    return lines_of(path, partial(_decode, model, path), result)


def _content(row: Completion | Score) -> dict[str, Any]:
    return row.model_dump(exclude={"attempt", "time"})


def read_lines(path: Path, model: type[M]) -> list[M]:
    """Return the rows of one segment that can be read; raise StoreError if the file can't be."""
    rows = []
    for number, line in enumerate(read_bytes(path).split(b"\n"), start=1):
        with contextlib.suppress(ChangedError, StoreError):
            row = _decode(model, path, checked(line), number)
            if row is not None:
                rows.append(row)
    return rows


def write_rows(path: Path, rows: Iterable[Record]) -> None:
    """Write an immutable file of rows, in their order, whole or not at all, and seal it.

    Raises:
        StoreError: The file can't be written.
        NonFiniteError: A row holds NaN or infinity.
    """
    data = b"".join(_encode(row, path) for row in rows)
    seal(path, data)
    replace_file(path, data)


def write_segment(path: Path, rows: Iterable[Record]) -> None:
    """Write a segment whole or not at all; errors as ``write_rows``."""
    replace_file(path, b"".join(with_checksum(_encode(row, path)) for row in rows))


def read_rows(path: Path, model: type[M]) -> list[M]:
    """Return the rows that ``write_rows`` wrote; such a file has no excuse for a damaged line.

    Raises:
        StoreError: The file is missing, damaged, changed or of another version.
    """
    data = read_bytes(path)
    *lines, tail = data.split(b"\n")
    rows = [_decode(model, path, line, n) for n, line in enumerate(lines, start=1)]
    good = [row for row in rows if row is not None]
    if tail or len(good) < len(rows):
        number = len(rows) + 1 if None not in rows else rows.index(None) + 1
        raise StoreError(
            f"{path}:{number} is damaged: the line is no JSON object.",
            hint="The file was written whole, so restore it from a copy or start a new run.",
        )
    check_data(path, data)
    return good


def write_json(path: Path, value: Any, *, sort: bool = True, sealed: bool = False) -> None:
    """Replace ``path`` by ``value`` (JSON types or a pydantic model), whole or not at all.

    Args:
        path: The file.
        value: What it is to hold.
        sort: Sort keys, so that equal values make equal files; off where their order counts.
        sealed: Note what it holds, so that a change by anything else is found.

    Raises:
        StoreError: The file can't be written; the old one is untouched.
        NonFiniteError: The value holds NaN or infinity; write None for what is missing.
    """
    value = value.model_dump(mode="json") if isinstance(value, BaseModel) else value
    data = dumps(value, str(path), sort_keys=sort, indent=1)
    if sealed:
        seal(path, data)
    replace_file(path, data)


def create_json(path: Path, value: Any, *, sort: bool = True, sealed: bool = False) -> bool:
    """Write ``value`` to a new file, whole or not at all; return False if it exists already.

    Of several processes that try, one succeeds. Other arguments and errors as ``write_json``.
    """
    value = value.model_dump(mode="json") if isinstance(value, BaseModel) else value
    data = dumps(value, str(path), sort_keys=sort, indent=1)
    if sealed:
        seal(path, data)
    return create_whole(path, data)


def read_json(path: Path) -> Any:
    """Return the value in a JSON file; raise StoreError if it is missing, damaged or changed."""
    data = read_bytes(path)
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise StoreError(
            f"{path} is damaged: {error}.",
            hint="It was written whole, so something else changed it; restore it from a copy.",
        ) from None
    check_data(path, data)
    return value


def _encode(row: Record, path: Path) -> bytes:
    where = f"{path}: the row {getattr(row, 'key', None) or getattr(row, 'id', '')}"
    return dumps(row.model_dump(mode="json"), where, separators=(",", ":"))


def _decode(model: type[M], path: Path, line: bytes, number: int) -> M | None:
    """Return the row, or None if the line is no JSON object."""
    try:
        return model.model_validate_json(line)
    except ValidationError as error:
        first = error.errors()[0]
    if first["type"] in _DAMAGE and len(first["loc"]) == 0:
        return None
    name = ".".join(str(part) for part in first["loc"])
    raise StoreError(
        f"{path}:{number} does not fit the {model.__name__} rows of trimtab {__version__}: "
        f"{name!r}: {first['msg']}.",
        hint="Another version of trimtab wrote it (see attempts/*/manifest.json): use that "
        "version, or start a new run.",
    )
