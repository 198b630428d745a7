"""Read text, CSV, JSON and JSON lines, with one clear line for each thing that can be wrong.

Messages name the file by its absolute path. A character that no text can hold (half of a surrogate
pair), a number that Python refuses to read and nesting without end are refused here, with the line,
because later they would end a run.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from trimtab.core.characters import lone_surrogate
from trimtab.core.counted import counted
from trimtab.core.errors import DataError
from trimtab.core.files import read_whole
from trimtab.datasets.fields import Cells

DATA = Path(__file__).parent / "data"
"""Questions, passages and behaviours that ship here."""

SOURCE = "task.source"
"""Where the path of a task's data file is given."""

Rows = list[tuple[str, dict[str, Any]]]
"""Rows of a file, each with what names its place in messages: ``FILE line 3``."""

ROWS = (".jsonl", ".csv")
"""How the names of files of rows end."""


def read_text(path: Path, given_as: str = SOURCE) -> str:
    """Return the file's text without a byte order mark.

    Raises:
        DataError: There is none; the message says that the path was given as ``given_as``.
    """
    shown = f"The data file {str(path.absolute())!r} (given as `{given_as}`)"
    try:
        text = _with_plain_ends(read_whole(path).decode("utf-8-sig"))
    except FileNotFoundError:
        raise DataError(
            f"The data file {str(path.absolute())!r} does not exist (given as `{given_as}`).",
            hint="Give a path that exists"
            + (", a hub id, or `bundled`." if given_as == SOURCE else "."),
        ) from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{shown} line {line}: not UTF-8 ({error.reason}).", hint="Save it as UTF-8."
        ) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{shown} can't be read: {reason}.") from None
    if not text.strip():
        raise DataError(f"{shown} is empty.")
    return text


def _with_plain_ends(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_rows(path: Path, given_as: str = SOURCE, accepted: Sequence[str] = ()) -> Rows:
    """Return the rows of a file of JSON lines, or of CSV with a header, by its name.

    Cells of CSV are texts; an empty one is None, which is not given.

    Args:
        path: A file that ends in ``.csv``; any other is read as JSON lines.
        given_as: Where the path was given.
        accepted: Keys that a row may have; named where the file's header has none of them.

    Raises:
        DataError: It can't be read; the message names file and line.
    """
    if path.suffix.lower() != ".csv":
        return read_jsonl(path, given_as)
    rows = read_csv(path, (), given_as)
    if rows and accepted and not set(accepted) & rows[0][1].keys():
        raise DataError(
            f"{path.absolute()} has none of the columns {', '.join(accepted)}; found: "
            f"{', '.join(rows[0][1])}.",
            hint=_separator(list(rows[0][1])),
        )
    return [
        (where, Cells({key: value or None for key, value in row.items()})) for where, row in rows
    ]


def read_csv(
    path: Path, columns: Sequence[str], given_as: str = SOURCE
) -> list[tuple[str, dict[str, str]]]:
    """Return ("file line n", row) for each row; raise DataError if one of ``columns`` is missing.

    The line is the one on which the row ends: a quoted field may run over several.
    """
    shown = path.absolute()
    reader = csv.DictReader(io.StringIO(read_text(path, given_as), newline=""), strict=True)
    rows = []
    try:
        found = list(reader.fieldnames or [])
        missing = [column for column in columns if column not in found]
        if missing:
            raise DataError(
                f"{shown} has no column {', '.join(map(repr, missing))}; found: "
                f"{', '.join(found)}; needed: {', '.join(columns)}.",
                hint=_separator(found),
            )
        twice = sorted({column for column in found if found.count(column) > 1})
        if twice:
            raise DataError(f"{shown}: the column {twice[0]!r} occurs twice.")
        for row in reader:
            where = f"{shown} line {reader.line_num}"
            if None in row or None in row.values():
                raise DataError(
                    f"{where}: the row does not have {counted(len(found), 'field')}.",
                    hint=_separator(found),
                )
            rows.append((where, row))
    except csv.Error as error:
        # a DictReader's own count is that of the row before
        raise DataError(f"{shown} line {reader.reader.line_num}: {error}.") from None
    return rows


def _separator(columns: Sequence[str]) -> str | None:
    """Return what to do about fields that are not separated by commas; None if they are."""
    used = {";": "semicolons", "\t": "tabs"}
    found = next((mark for mark in used if len(columns) == 1 and mark in columns[0]), None)
    return None if found is None else f"It is separated by {used[found]}: save it with commas."


def read_json(path: Path, given_as: str = SOURCE) -> Any:
    """Return what a JSON file holds; raise DataError with the line where it is malformed."""
    text = read_text(path, given_as)
    return parse_json(text, str(path.absolute()), text)


def read_objects(path: Path, given_as: str = SOURCE) -> Rows:
    """Return ("file item n", object) for each of a JSON file's list; raise DataError."""
    listed = read_json(path, given_as)
    if not isinstance(listed, list) or not all(isinstance(row, dict) for row in listed):
        raise DataError(f"{path.absolute()} must hold a list of objects.")
    return [(f"{path.absolute()} item {n}", row) for n, row in enumerate(listed, start=1)]


def read_jsonl(path: Path, given_as: str = SOURCE) -> Rows:
    """Return ("file line n", object) for each line that is not blank; raise DataError."""
    rows = []
    for number, line in enumerate(read_text(path, given_as).split("\n"), start=1):
        where = f"{path.absolute()} line {number}"
        if not line.strip():
            continue
        row = parse_json(line, where)
        if not isinstance(row, dict):
            raise DataError(f"{where}: must be an object, it is {line.strip()[:40]!r}.")
        rows.append((where, row))
    return rows


def parse_json(text: str, where: str, lines: str | None = None) -> Any:
    """Return the value of a JSON text.

    Args:
        text: The text.
        where: What names its place.
        lines: The whole file, whose line of an error is added to ``where``; None if ``where`` is a
            line already.

    Raises:
        DataError: It is malformed, names a key twice, or holds what can't be kept: half of a
            surrogate pair, an integer of more than 4,300 digits, nesting without end.
    """
    try:
        value = json.loads(text, object_pairs_hook=_once)
    except json.JSONDecodeError as error:
        line = "" if lines is None else f" line {error.lineno}"
        raise DataError(f"{where}{line}: not valid JSON ({error.msg}).") from None
    except _Twice as twice:
        raise DataError(f"{where}: the key {twice.args[0]!r} occurs twice.") from None
    except RecursionError:
        raise DataError(f"{where}: nested too deeply to be read.") from None
    except ValueError:
        raise DataError(f"{where}: holds a number of more than 4,300 digits.") from None
    if "\\u" in text and (found := lone_surrogate(value)):
        escape = f"\\u{ord(found):04x}"
        at = (lines or "").casefold().find(escape)
        line = f" line {text.count(chr(10), 0, at) + 1}" if at >= 0 else ""
        raise DataError(
            f"{where}{line}: holds {escape}, half of a character.",
            hint="Remove it, or write U+FFFD in its place.",
        )
    return value


class _Twice(Exception):
    """A key that an object has twice."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        keys = [key for key, _ in pairs]
        raise _Twice(next(key for key in keys if keys.count(key) > 1))
    return made
