"""One field of a row of data, checked; a refusal names the keys that are accepted."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from trimtab.core.characters import lone_surrogate
from trimtab.core.errors import DataError

Row = Mapping[str, Any]
_NUMBER = re.compile(r"-?[0-9]{1,400}(\.[0-9]{1,400})?([eE][-+]?[0-9]{1,4})?")


class Cells(dict[str, Any]):
    """A row of CSV, whose values are texts: lists and numbers are read from them."""


def text_field(row: Row, key: str, where: str, accepted: Sequence[str] = ()) -> str:
    """Return ``row[key]``, which must be a string that is not blank; raise DataError."""
    value = row.get(key)
    if not isinstance(value, str) or not value.strip():
        raise DataError(f"{where}: {key!r} must be a text, it is {shown(row, key, accepted)}.")
    return value


def list_field(row: Row, key: str, where: str, accepted: Sequence[str] = ()) -> list[str]:
    """Return ``row[key]``, a list of strings; raise DataError.

    In CSV, where all is text, it is a JSON list or, as in TruthfulQA's files, separated by ``;``.
    """
    value = row.get(key)
    cell = isinstance(row, Cells)
    if cell and isinstance(value, str):
        value = json_cell(value, key, where) if value.lstrip().startswith("[") else value.split(";")
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise DataError(
            f"{where}: {key!r} must be a list of texts, it is {shown(row, key, accepted)}."
        )
    return [item.strip() for item in value] if cell else value


def json_cell(text: str, key: str, where: str) -> Any:
    """Return what a cell of CSV holds as JSON; raise DataError."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where}: {key!r} is not valid JSON ({str(error)[:60]}).") from None
    if found := lone_surrogate(value):
        raise DataError(f"{where}: {key!r} holds \\u{ord(found):04x}, half of a character.")
    return value


def count_field(row: Row, key: str, where: str) -> int:
    """Return ``row[key]``, a count that is 0 where it is not given; raise DataError."""
    value = row.get(key)
    value = 0 if value is None else value
    if isinstance(row, Cells) and str(value).strip().isascii() and str(value).strip().isdecimal():
        value = int(str(value)[:18])
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise DataError(f"{where}: {key!r} must be a count, it is {value!r}.")
    return value


def number_field(row: Row, key: str, where: str, accepted: Sequence[str] = ()) -> float | None:
    """Return ``row[key]``, a number that a float holds, or None; raise DataError."""
    value = row.get(key)
    if isinstance(row, Cells) and isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        value = float(value)
    if value is None:
        return None
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not abs(value) <= sys.float_info.max:
        raise DataError(
            f"{where}: {key!r} must be a number or null, it is {shown(row, key, accepted)}."
        )
    return float(value)


def flag_field(row: Row, key: str, where: str) -> bool | None:
    """Return ``row[key]``, which is true, false or None; raise DataError."""
    value = row.get(key)
    if isinstance(row, Cells) and isinstance(value, str):
        value = {"true": True, "false": False}.get(value.strip().lower(), value)
    if value is not None and not isinstance(value, bool):
        raise DataError(f"{where}: {key!r} must be true or false, it is {shown(row, key)}.")
    return value


def shown(row: Row, key: str, accepted: Sequence[str] = ()) -> str:
    """Return the value of a field for a message, or what is there in its place."""
    if row.get(key) is not None:
        return repr(row[key])[:60]
    named = f"; accepted: {', '.join(accepted)}" if accepted else ""
    what = "None" if key in row else "missing"
    return f"{what} (found: {', '.join(map(str, row))}{named})"
