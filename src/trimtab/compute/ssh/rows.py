"""Rows that a copy brings: of those with one key the one that was merged first counts, for ever.

A host that was given up may come back with rows that another has written since, and that were
scored meanwhile. Readers take the first segment by name, so a row whose key is here already is left
out, and with it the copy's scores of it where it says something else: they are of another answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from pathlib import Path

from trimtab.core.checksums import ChangedError, checked
from trimtab.core.files import make_dir, read_bytes, replace_file
from trimtab.core.presence import RowKey, row_key
from trimtab.core.records import list_segments

_Row = tuple[RowKey, bytes, bytes]
"""A row's key, what tells whether another says the same, and its line."""


def add_rows(
    copy: Path, run_dir: Path, sizes: Mapping[str, int], foreign: Set[str] = frozenset()
) -> int:
    """Add what is new in a copy's segments to those of a run; return to how many of them.

    A line that is not whole or was changed is no row, and is left out.

    Args:
        copy: The copy.
        run_dir: The run.
        sizes: How much of each segment was verified, by paths within the run.
        foreign: Keys of cells and judges of whose rows none is taken.

    Raises:
        StoreError: A segment can't be read or written.
    """
    known: dict[Path, dict[RowKey, bytes]] = {}
    answered: set[RowKey] = set()
    taken = 0
    for name in sorted(sizes):  # completions come before scores
        target = run_dir / name
        if target.is_file() and target.stat().st_size >= sizes[name]:
            continue
        have = known.get(target.parent)
        if have is None:
            have = known[target.parent] = _rows_of(target.parent)
        is_score = name.startswith("scores/")
        data = read_bytes(copy / name)[: sizes[name]]
        new = []
        for key, said, line in _rows(b"" if foreign & set(Path(name).parts) else data):
            if key not in have and not (is_score and key in answered):
                have[key] = said
                new.append(line)
            elif not is_score and have[key] != said:
                answered.add(key)
        if new or not target.is_file():
            # a file without rows, too: the host's own is replaced by it, and tells nothing again
            make_dir(target.parent)
            before = read_bytes(target) if target.is_file() else b""
            whole = before[: before.rfind(b"\n") + 1]
            replace_file(target, whole + b"".join(new))
            taken += bool(new)
    return taken


def _rows_of(folder: Path) -> dict[RowKey, bytes]:
    """Return the rows of a folder that count, by their keys."""
    found: dict[RowKey, bytes] = {}
    for path in list_segments(folder):
        for key, said, _ in _rows(read_bytes(path)):
            found.setdefault(key, said)
    return found


def _rows(data: bytes) -> Iterator[_Row]:
    for line in data.split(b"\n")[:-1]:
        try:
            body = checked(line)
            key = row_key(body)
        except (ChangedError, ValueError):
            continue
        checksum = line[len(body) - 1 :]  # leaves out when a row was written; old ones have none
        yield key, checksum if len(checksum) > 1 else body, line + b"\n"
