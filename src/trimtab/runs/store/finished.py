"""Whether a run is as its last report found it, with nothing left to do, by its files' dates."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

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
    write_json(run_dir / FINISHED, {"trimtab": __version__, "state": _state(run_dir)})


def is_finished(run_dir: Path) -> bool:
    """Return whether ``mark`` was called and no file has been added, removed or changed since.

    A change that keeps a file's size and time is not seen; ``trimtab verify`` looks at contents.
    """
    try:
        noted = json.loads(read_bytes(run_dir / FINISHED))
    except (StoreError, ValueError, RecursionError):
        return False
    return bool(noted == {"trimtab": __version__, "state": _state(run_dir)})


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
