"""Read text, CSV, JSON and JSON lines, with one clear line for each thing that can be wrong."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from trimtab.core.errors import DataError

DATA = Path(__file__).parent / "data"
"""Questions, passages and behaviours that ship here."""

SOURCE = "task.source"
"""Where the path of a task's data file is given."""


def read_text(path: Path, given_as: str = SOURCE) -> str:
    """Return the file's text without a byte order mark.

    Raises:
        DataError: There is none; the message says that the path was given as ``given_as``.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise DataError(
            f"The data file {str(path)!r} does not exist (given as `{given_as}`).",
            hint="Give a path that exists"
            + (", a hub id, or `bundled`." if given_as == SOURCE else "."),
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"The data file {str(path)!r} (given as `{given_as}`) can't be read: {error}."
        ) from None
    if not text.strip():
        raise DataError(f"The data file {str(path)!r} (given as `{given_as}`) is empty.")
    return text


def read_csv(path: Path, columns: Sequence[str]) -> list[tuple[str, dict[str, str]]]:
    """Return ("file line n", row) for each row; raise DataError if one of ``columns`` is missing.

    The line is the one on which the row ends: a quoted field may run over several.
    """
    reader = csv.DictReader(io.StringIO(read_text(path), newline=""), strict=True)
    rows = []
    try:
        found = list(reader.fieldnames or [])
        missing = [column for column in columns if column not in found]
        if missing:
            raise DataError(
                f"{path} has no column {', '.join(map(repr, missing))}; found: {', '.join(found)}."
            )
        for row in reader:
            where = f"{path} line {reader.line_num}"
            if None in row or None in row.values():
                raise DataError(f"{where}: the row does not have {len(found)} fields.")
            rows.append((where, row))
    except csv.Error as error:
        raise DataError(f"{path} line {reader.line_num}: {error}.") from None
    return rows


def read_json(path: Path) -> Any:
    """Return what a JSON file holds; raise DataError with the line where it is malformed."""
    try:
        return json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise DataError(f"{path} line {error.lineno}: not valid JSON ({error.msg}).") from None


def read_jsonl(path: Path, given_as: str = SOURCE) -> list[tuple[str, dict[str, Any]]]:
    """Return ("file line n", object) for each line that is not blank; raise DataError."""
    rows = []
    for number, line in enumerate(read_text(path, given_as).split("\n"), start=1):
        where = f"{path} line {number}"
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise DataError(f"{where}: not valid JSON ({error.msg}).") from None
        if not isinstance(row, dict):
            raise DataError(f"{where}: must be an object, it is {line.strip()[:40]!r}.")
        rows.append((where, row))
    return rows


def text_field(row: dict[str, Any], key: str, where: str) -> str:
    """Return ``row[key]``, which must be a string that is not blank; raise DataError."""
    value = row.get(key)
    if not isinstance(value, str) or not value.strip():
        raise DataError(f"{where}: {key!r} must be a text, it is {_shown(row, key)}.")
    return value


def list_field(row: dict[str, Any], key: str, where: str) -> list[str]:
    """Return ``row[key]``, which must be a list of strings; raise DataError."""
    value = row.get(key)
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise DataError(f"{where}: {key!r} must be a list of texts, it is {_shown(row, key)}.")
    return value


def _shown(row: dict[str, Any], key: str) -> str:
    return repr(row[key])[:60] if key in row else f"missing (found: {', '.join(row)})"
