"""Lines of segments: many at once where all can be read, else one by one with what is at fault."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import TypeAdapter, ValidationError

from trimtab.core.checksums import ChangedError, checked, without_checksums
from trimtab.core.files import read_bytes
from trimtab.core.types import Completion, Score

R = TypeVar("R", bound=Completion | Score)
T = TypeVar("T")

_BATCH = 1000
"""Lines that are parsed in one go."""


@dataclass
class ReadResult(Generic[R]):
    """What the segments of one folder hold.

    Attributes:
        rows: The rows, sorted by key; of rows with one key the first.
        torn: ``file:line: what`` for each last line that a crash left unfinished.
        invalid: ``file:line: what`` for each other line that can't be read.
        duplicates: Rows that were dropped because their key was there before.
        conflicts: ``file:line: what`` for each duplicate that says something else than the first.
    """

    rows: list[R] = field(default_factory=list)
    torn: list[str] = field(default_factory=list)
    invalid: list[str] = field(default_factory=list)
    duplicates: int = 0
    conflicts: list[str] = field(default_factory=list)


def whole_lines(data: bytes, shape: TypeAdapter[list[T]]) -> list[T] | None:
    """Return the rows of a segment of which every line can be read; None if any can't.

    Many lines are parsed at once, which takes a fraction of what one by one does. Where that does
    not give a row for each line, ``lines_of`` tells which is at fault.
    """
    if data and not data.endswith(b"\n"):
        return None
    rows: list[T] = []
    try:
        lines = without_checksums(data)
        for start in range(0, len(lines), _BATCH):
            rows += shape.validate_json(b"[%b]" % b",".join(lines[start : start + _BATCH]))
    except (ValidationError, ChangedError):
        return None
    return rows if len(rows) == len(lines) else None


def lines_of(
    path: Path, decode: Callable[[bytes, int], T | None], result: ReadResult[Any]
) -> Iterator[tuple[int, T]]:
    """Yield number and value of each line of a segment; note in ``result`` what can't be read.

    ``decode`` takes a line and its number and returns None if it is no JSON object.
    """
    *lines, tail = read_bytes(path).split(b"\n")
    for number, line in enumerate(lines, start=1):
        try:
            value = decode(checked(line), number)
        except ChangedError:
            result.invalid.append(f"{path}:{number}: the line was changed after it was written")
            continue
        if value is not None:
            yield number, value
        elif number == len(lines) and not tail:
            result.torn.append(f"{path}:{number}: the last line is no JSON object ({len(line)} B)")
        else:
            result.invalid.append(f"{path}:{number}: the line is no JSON object ({len(line)} B)")
    if tail:
        result.torn.append(f"{path}:{len(lines) + 1}: the last line is unfinished ({len(tail)} B)")
