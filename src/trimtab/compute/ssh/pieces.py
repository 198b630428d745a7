"""The beginning of a file: of one that grows, what was there when the other side was asked."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

_CHUNK = 1 << 20


def first_digest(path: Path, size: int) -> str:
    """Return the SHA-256 of the first ``size`` bytes of a file; raise OSError if it is gone."""
    seen = hashlib.sha256()
    for data in _first(path, size):
        seen.update(data)
    return seen.hexdigest()


def copy_first(source: Path, target: Path, size: int) -> None:
    """Write the first ``size`` bytes of a file to another, on the disk; raise OSError if not."""
    with target.open("wb") as file:
        for data in _first(source, size):
            file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _first(path: Path, size: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        while data := file.read(min(_CHUNK, size)):
            size -= len(data)
            yield data
