"""Checksums of files that are written whole: a line of ``SHA256SUMS`` beside each.

A line is added before its file is written or replaced, so a kill at any moment leaves a file that
some line describes; of a file that changes over time every content that it has had is known. What
differs from all of them was changed by something else, and is refused when it is read. A file that
no line names (of an earlier version, or copied without the list) can't be checked.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from trimtab.core.errors import StoreError
from trimtab.core.files import (
    append_synced,
    make_dir,
    read_bytes,
    replace_file,
    write_error,
)

SUMS = "SHA256SUMS"
_LINE = re.compile(r"([0-9a-f]{64})  ([^/]+)")
_NAME = "# of "
_HINT = (
    "Something else changed it since: restore it from a copy, or start a new run. "
    "`trimtab verify RUN` lists all that differs."
)


def seal(path: Path, data: bytes) -> None:
    """Note that ``path`` is to hold ``data``; raise StoreError if that can't be written."""
    _note(path, hashlib.sha256(data).hexdigest())


def seal_files(folder: Path) -> None:
    """Note what the files of ``folder`` hold, which are all written; not those of its folders."""
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.name != SUMS and not path.name.startswith("."):
            _note(path, _digest(path))


def seal_together(folder: Path, files: Mapping[str, Path]) -> None:
    """Note that files of ``folder`` are to hold what others hold now, by their names."""
    known = known_sums(folder)
    new = {name: _digest(path) for name, path in sorted(files.items())}
    lines = [f"{sum}  {name}" for name, sum in new.items() if sum not in known.get(name, ())]
    if lines:
        _add_line(folder / SUMS, "\n".join(lines))


def forget_earlier(folder: Path) -> None:
    """Note only what the files of ``folder`` hold now; for files that nobody else writes."""
    names = [name for name in known_sums(folder) if (folder / name).is_file()]
    lines = "".join(f"{_digest(folder / name)}  {name}\n" for name in sorted(names))
    replace_file(folder / SUMS, lines.encode())


def seal_name(folder: Path) -> None:
    """Note what ``folder`` is called, so that one of another name is not taken for it."""
    if sealed_name(folder) != folder.name:
        _add_line(folder / SUMS, f"{_NAME}{folder.name}")


def check_name(folder: Path, hint: str = _HINT) -> None:
    """Raise StoreError if ``folder`` was called otherwise when its files were written."""
    name = sealed_name(folder)
    if name not in (None, folder.name):
        raise StoreError(f"{folder} holds what was written as {name!r}.", hint=hint)


def known_sums(folder: Path) -> dict[str, set[str]]:
    """Return, for each file of ``folder`` that is sealed, the SHA-256 of what it may hold."""
    known: dict[str, set[str]] = {}
    for line in _text(folder).split("\n"):
        found = _LINE.fullmatch(line)
        if found is not None:
            known.setdefault(found[2], set()).add(found[1])
    return known


def sealed_name(folder: Path) -> str | None:
    """Return what ``folder`` was called when its files were written; None if that is not known."""
    names = [line.removeprefix(_NAME) for line in _text(folder).split("\n") if line[:5] == _NAME]
    return names[-1] if names else None


def is_sealed(path: Path) -> bool:
    """Return whether it is known what ``path`` should hold."""
    return path.name in known_sums(path.parent)


def check_data(path: Path, data: bytes, hint: str = _HINT) -> None:
    """Raise StoreError if ``data``, read from ``path``, is not what was written there."""
    known = known_sums(path.parent).get(path.name)
    if known is not None and hashlib.sha256(data).hexdigest() not in known:
        raise _differs(path, hint)


def check_file(path: Path, hint: str = _HINT) -> None:
    """Raise StoreError if ``path`` is gone or does not hold what was written there."""
    known = known_sums(path.parent).get(path.name)
    if known is not None and _digest(path) not in known:
        raise _differs(path, hint)


def check_files(folder: Path, hint: str = _HINT) -> None:
    """Raise StoreError if a sealed file of ``folder`` is gone or holds something else."""
    for name in sorted(known_sums(folder)):
        check_file(folder / name, hint)


def _differs(path: Path, hint: str) -> StoreError:
    return StoreError(f"{path} is not what was written there (its SHA-256 differs).", hint=hint)


def _note(path: Path, digest: str) -> None:
    if digest not in known_sums(path.parent).get(path.name, ()):
        _add_line(path.with_name(SUMS), f"{digest}  {path.name}")


def _add_line(sums: Path, line: str) -> None:
    before = _text(sums.parent)
    # closes a line that a killed writer left unfinished
    data = f"{'' if before.endswith(chr(10)) or not before else chr(10)}{line}\n".encode()
    try:
        make_dir(sums.parent)
    except OSError as error:
        raise write_error(sums, error, len(data)) from error
    append_synced(sums, data)


def _text(folder: Path) -> str:
    sums = folder / SUMS
    return read_bytes(sums).decode("utf-8", "replace") if os.path.lexists(sums) else ""


def _digest(path: Path) -> str:
    """Return the SHA-256 of a file; of one that did not change since it is known."""
    try:
        info = path.stat()
        if not stat.S_ISREG(info.st_mode):
            raise StoreError(f"{path} is no regular file.", hint="Remove it from the run.")
        return _read_digest(path, info.st_ino, info.st_size, info.st_mtime_ns, info.st_ctime_ns)
    except OSError as error:
        raise StoreError(
            f"{path} can't be read: {error.strerror or error}.", hint="Restore it from a copy."
        ) from error


@lru_cache(maxsize=4096)
def _read_digest(path: Path, *_state: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
