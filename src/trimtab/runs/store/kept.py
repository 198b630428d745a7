"""Rows that were read last, and what is known of all that were read before.

A run may hold more rows than fit into memory. So rows are kept of the folders that were read last,
as many as ``MOST_ROWS``, and of every folder what was wrong with it, and counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from trimtab.core.garbage import collection_paused
from trimtab.core.lines import R, ReadResult
from trimtab.core.presence import RowKey
from trimtab.core.records import read_segments
from trimtab.runs.store.reading import Signature, signature
from trimtab.runs.store.tally import Tally, tally_of

MOST_ROWS = 100_000
"""The folder that was read last is kept whatever it holds."""


@dataclass(frozen=True)
class _Seen:
    """What a folder held when it was read: all but its rows."""

    state: Signature
    faults: ReadResult[Any]
    tally: Tally


class Kept:
    """Parsed rows by folder; parsed again when a file has changed, or when they were let go."""

    def __init__(self, most_rows: int = MOST_ROWS) -> None:
        """Keep at most so many rows, of more than one folder."""
        self._most_rows = most_rows
        self._rows: dict[Path, dict[RowKey, Any]] = {}
        self._seen: dict[Path, _Seen] = {}

    def rows(self, folder: Path, model: type[R], belongs: Callable[[R], bool]) -> dict[RowKey, R]:
        """Return the rows of a folder by key, sorted; those that don't belong there are faults."""
        state = signature(folder)
        rows = self._rows.pop(folder, None)
        if rows is None or self._seen[folder].state != state:
            rows = self._read(folder, state, model, belongs)
        self._rows[folder] = rows
        self._let_go()
        return dict(rows)

    def tally(self, folder: Path, model: type[R], belongs: Callable[[R], bool]) -> Tally:
        """Return counts over the rows of a folder, which are read if they never were."""
        seen = self._seen.get(folder)
        if seen is None or seen.state != signature(folder):
            self.rows(folder, model, belongs)
        return self._seen[folder].tally

    def faults(self) -> Iterator[tuple[Path, ReadResult[Any], int]]:
        """Yield each folder that was read, what was wrong with it, and how many rows count."""
        for folder, seen in self._seen.items():
            yield folder, seen.faults, seen.tally.rows

    def __contains__(self, folder: Path) -> bool:
        """Return whether a folder was read."""
        return folder in self._seen

    def _read(
        self, folder: Path, state: Signature, model: type[R], belongs: Callable[[R], bool]
    ) -> dict[RowKey, R]:
        with collection_paused():
            result = read_segments(folder, model, belongs)
            rows = {row.key: row for row in result.rows}
            self._seen[folder] = _Seen(state, replace(result, rows=[]), tally_of(rows.values()))
        return rows

    def _let_go(self) -> None:
        """Drop the rows that were asked for longest ago, until few enough are kept."""
        total = sum(map(len, self._rows.values()))
        while total > self._most_rows and len(self._rows) > 1:
            total -= len(self._rows.pop(next(iter(self._rows))))
