"""What a run lost against one that nothing disturbed, by plain JSON and bytes of its files.

Nothing of what writes or reads a run is called here, so that a mistake there can't hide a loss.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

PASSING = ("attempt", "time", "crc")
"""Fields in which the rows of two equal runs differ."""

_SEGMENTS = ("completions/*/*.jsonl", "scores/*/*/*.jsonl")
_SUMMARY = "summary.json"

RowName: TypeAlias = tuple[str, str, int]
"""Folder of a cell or judge within the run, id of the sample, index of the completion."""


@dataclass(frozen=True)
class Losses:
    """In what a run differs from the undisturbed one; empty where it does not.

    Attributes:
        lost: Rows that it lacks.
        doubled: Rows that stand in its files more than once.
        differing: Rows that say something else, or that the undisturbed one does not have.
        artifacts: Files of artifacts that are gone, say something else, or are too many.
        summary: What is wrong with ``summary.json``.
    """

    lost: tuple[RowName, ...] = ()
    doubled: tuple[RowName, ...] = ()
    differing: tuple[RowName, ...] = ()
    artifacts: tuple[str, ...] = ()
    summary: str | None = None

    def lines(self) -> list[str]:
        """Return a line for each loss."""
        rows = (("lost", self.lost), ("doubled", self.doubled), ("different", self.differing))
        said = [
            f"{what}: sample {sample}, completion {index}, in {folder}"
            for what, names in rows
            for folder, sample, index in names
        ]
        said += [f"different: {name}" for name in self.artifacts]
        return said if self.summary is None else [*said, self.summary]


def compare(run: Path, whole: Path) -> Losses:
    """Compare a finished run with ``whole``, which nothing disturbed."""
    found, wanted = rows(run), rows(whole)
    made, known = fitted(run), fitted(whole)
    return Losses(
        lost=tuple(name for name in wanted if name not in found),
        doubled=tuple(name for name, versions in found.items() if len(versions) > 1),
        differing=tuple(
            name for name, versions in found.items() if versions[:1] != wanted.get(name, [])[:1]
        ),
        artifacts=tuple(
            n for n in sorted(made.keys() | known.keys()) if made.get(n) != known.get(n)
        ),
        summary=_compare_summaries(run / _SUMMARY, whole / _SUMMARY),
    )


def rows(run: Path) -> dict[RowName, list[str]]:
    """Return every row of a run, without fields that may differ, as often as it was written.

    What is no whole line of JSON is no row, as for all that read a run.
    """
    found: dict[RowName, list[str]] = {}
    for path in segments(run):
        folder = str(path.parent.relative_to(run))
        for line in path.read_bytes().split(b"\n")[:-1]:
            try:
                row = json.loads(line)
                name = (folder, row["sample_id"], row["index"])
            except (ValueError, KeyError, TypeError):
                continue
            kept = {key: value for key, value in row.items() if key not in PASSING}
            found.setdefault(name, []).append(json.dumps(kept, sort_keys=True))
    return found


def records(run: Path) -> dict[str, list[str]]:
    """Return all rows of a run by folder, sorted; of one that stands twice the first."""
    found: dict[str, list[str]] = {}
    for (folder, _, _), versions in rows(run).items():
        found.setdefault(folder, []).append(versions[0])
    return {folder: sorted(texts) for folder, texts in found.items()}


def num_records(run: Path) -> int:
    """Return how many lines are on disk, counting the plan and files of artifacts as one each."""
    lines = sum(path.read_bytes().count(b"\n") for path in segments(run))
    made = [path for path in run.glob("artifacts/**/*") if path.is_file()]
    return lines + len([*made, *run.glob("plan/0*.json")])


def fitted(run: Path) -> dict[str, bytes]:
    """Return the bytes of all files of artifacts, checkpoints too, but not how long they took."""
    files = [path for path in run.glob("artifacts/**/*") if path.is_file()]
    made = [path for path in files if path.name != "timings.jsonl"]
    return {str(path.relative_to(run)): path.read_bytes() for path in sorted(made)}


def segments(run: Path) -> list[Path]:
    """Return the files of rows."""
    return sorted(path for pattern in _SEGMENTS for path in run.glob(pattern))


def _compare_summaries(path: Path, whole: Path) -> str | None:
    if not path.is_file():
        return "there is no summary"
    return None if path.read_bytes() == whole.read_bytes() else "the summary differs"
