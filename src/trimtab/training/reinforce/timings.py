"""How long rounds took and how much memory: beside the records, which are the same every time."""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path
from typing import Any

import torch

from trimtab.core.files import append_synced, dumps, make_dir, read_bytes, replace_file

_NAME = "timings.jsonl"


class Timings:
    """The file ``timings.jsonl`` of a cohort."""

    def __init__(self, folder: Path) -> None:
        """Name the folder; nothing is written yet."""
        self._path = folder / _NAME
        self._new: list[dict[str, Any]] = []

    def add(self, number: int, runs: int, sampling: float, learning: float) -> None:
        """Note what round ``number`` of so many runs took, in seconds."""
        self._new.append(
            {
                "round": number,
                "runs": runs,
                "sampling_s": round(sampling, 4),
                "learning_s": round(learning, 4),
                "peak_bytes": _peak_bytes(),
            }
        )

    def save(self) -> None:
        """Write what is new; raise StoreError where that fails."""
        make_dir(self._path.parent)
        append_synced(self._path, b"".join(map(_line, self._new)))
        self._new = []

    def cut(self, number: int) -> None:
        """Drop what was noted of rounds after ``number``, and a line that a crash left."""
        if not self._path.is_file():
            return
        *lines, _ = read_bytes(self._path).split(b"\n")
        rows = [json.loads(line) for line in lines]
        replace_file(self._path, b"".join(_line(row) for row in rows if row["round"] <= number))


def _line(row: dict[str, Any]) -> bytes:
    return dumps(row, "a row of timings.jsonl", separators=(",", ":"))


def _peak_bytes() -> int:
    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated())
    # kilobytes on Linux, bytes on macOS
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
