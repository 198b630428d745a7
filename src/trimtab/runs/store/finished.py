"""Whether a run is as its last report found it, with nothing left to do, by its files' dates."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trimtab import __version__
from trimtab.core.errors import StoreError
from trimtab.core.files import read_bytes
from trimtab.core.records import write_json

FINISHED = "finished.json"
# What rows and reports follow from. Checks and usage follow from these, or say how they came about.
_FILES = ("config.json", "judges.json", "strengths.json")
_FOLDERS = ("plan", "samples", "artifacts", "completions", "scores", "judge_checks")
_OF_REPORT = ("summary.json", "report/index.html")


def mark(run_dir: Path) -> None:
    """Note that nothing is owed and that the report is written.

    Raises:
        StoreError: The note can't be written.
    """
    note = {
        "trimtab": __version__,
        "state": _state(run_dir),
        "fragments": len(list((run_dir / "plan").glob("[0-9]*.json"))),
        "judges": _added_judges(run_dir),
    }
    write_json(run_dir / FINISHED, note)


@dataclass(frozen=True)
class Noted:
    """What had nothing owed when a run was last marked.

    Attributes:
        fragments: How many fragments its plan had; None in a note of an earlier version.
        judges: Keys of the judges that were added after planning.
    """

    fragments: int | None
    judges: tuple[str, ...]


def noted(run_dir: Path) -> Noted | None:
    """Return what ``mark`` noted, whatever has changed since; None if it was never called."""
    note = _note(run_dir)
    if note is None:
        return None
    fragments, judges = note.get("fragments"), note.get("judges")
    return Noted(
        fragments if isinstance(fragments, int) else None,
        tuple(map(str, judges)) if isinstance(judges, list) else (),
    )


def is_finished(run_dir: Path) -> bool:
    """Return whether ``mark`` was called and no file has been added, removed or changed since.

    A change that keeps a file's size and time is not seen; ``trimtab verify`` looks at contents.
    """
    note = _note(run_dir)
    return note is not None and (note.get("trimtab"), note.get("state")) == (
        __version__,
        _state(run_dir),
    )


def _note(run_dir: Path) -> dict[str, Any] | None:
    try:
        note = json.loads(read_bytes(run_dir / FINISHED))
    except (StoreError, ValueError, RecursionError):
        return None
    return note if isinstance(note, dict) else None


def _added_judges(run_dir: Path) -> list[str]:
    try:
        judges = json.loads(read_bytes(run_dir / "judges.json"))
        return [judge["key"] for judge in judges]
    except (StoreError, ValueError, RecursionError, TypeError, KeyError):
        return []


def _state(run_dir: Path) -> str:
    """Return a hash of name, size and time of change of every file that counts."""
    paths = [run_dir / name for name in (*_FILES, *_OF_REPORT)]
    for name in _FOLDERS:
        for folder, folders, files in os.walk(run_dir / name):
            folders.sort()
            paths += [Path(folder) / file for file in sorted(files)]
    seen = hashlib.sha256()
    for path in paths:
        try:
            info = path.lstat()
        except OSError:
            continue
        line = f"{path.relative_to(run_dir)} {info.st_size} {info.st_mtime_ns}\n"
        seen.update(line.encode(errors="surrogateescape"))
    return seen.hexdigest()
