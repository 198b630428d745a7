"""What no file of vectors exceeds, and what one must be to be opened at all."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from trimtab.core.errors import DataError

MAX_BLOCKS = 10_000
MAX_NUMBERS = 1 << 20
_MAX_BYTES = 1 << 30
_BLOCK = re.compile(r"0|[1-9][0-9]{0,3}")


def require_file(path: Path) -> None:
    """Raise DataError unless ``path`` is a file of a size that vectors may have."""
    if not path.is_file():
        what = "is no file" if path.exists() else "does not exist"
        raise DataError(f"The vector file {path} {what}.")
    size = path.stat().st_size
    if size > _MAX_BYTES:
        raise DataError(f"{path} is too large for vectors: {size} bytes, more than {_MAX_BYTES}.")


def block_number(text: str) -> int | None:
    """Return the number of a block that is written as programs write it; None for another text."""
    return int(text) if _BLOCK.fullmatch(text) else None


def read_object(text: str | bytes) -> dict[str, Any]:
    """Return a JSON object without doubles and half characters; or raise ValueError."""
    try:
        found = json.loads(text, object_pairs_hook=_once)
        json.dumps(found, ensure_ascii=False).encode()
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(found, dict):
        raise ValueError("it is no JSON object")
    return found


def shown(value: object) -> str:
    """Return a value for a message: on one line, and short."""
    return repr(value)[:60]


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("it has a key twice")
    return found
