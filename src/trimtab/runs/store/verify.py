"""Whether a run still holds what was written there: every file by its checksum, every row."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from trimtab.clients.budget import SPEND, Ledger
from trimtab.core.checksums import has_checksums
from trimtab.core.errors import StoreError
from trimtab.core.files import read_bytes
from trimtab.core.records import list_segments, read_rows, read_segments
from trimtab.core.seals import SUMS, check_file, check_name, is_sealed, known_sums
from trimtab.core.types import Completion, ContrastPair, Conversation, Record, Sample, Score
from trimtab.runs.store.create import is_run, not_a_run
from trimtab.runs.store.finished import noted
from trimtab.runs.store.reading import fits_key

_DATA: dict[str, type[Record]] = {
    "samples": Sample,
    "pairs": ContrastPair,
    "conversations": Conversation,
}
# What a run is made of, which is sealed when it is made.
_MADE = ("config.json", "plan/head.json")


@dataclass
class Findings:
    """What a look at every file and row brought.

    Attributes:
        differs: What is not as it was written, a line each.
        unknown: What nothing tells the right content of, a line each.
        files: Files that were looked at.
        rows: Rows of segments that can be read.
    """

    differs: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    files: int = 0
    rows: int = 0

    def add(self, other: Findings, place: str) -> None:
        """Add what was found in ``place``, a folder of the run."""
        self.differs += [line if "/" in line.split()[0] else place + line for line in other.differs]
        self.unknown += [place + line for line in other.unknown]
        self.files += other.files
        self.rows += other.rows


def examine(run: Path) -> Findings:
    """Look at everything that is in a run; raise StoreError if ``run`` is none.

    Of what is not there, files whose checksums are noted are told; rows and artifacts that the plan
    promises are ``work.missing``'s.
    """
    if not (run / "plan").is_dir() and not is_run(run):
        raise not_a_run(run, "Give a run directory.")
    found = Findings()
    for folder in _sealed_folders(run):
        _check_sums(run, folder, found)
    for name, model in _DATA.items():
        for path in list_segments(run / name):
            _check_keyed(run, path, model, found)
    for folder in sorted((run / "artifacts").glob("*/")):
        _note_fault(found, partial(check_name, folder))
    _tell_unsealed(run, found)
    _check_spending(run, found)
    for folder in sorted((run / "completions").glob("*/")):
        _check_segments(run, folder, Completion, found)
    for folder in sorted((run / "scores").glob("*/*/")):
        _check_segments(run, folder, Score, found)
    for path in nested_runs(run):
        found.add(examine(path), f"{_within(run, path)}/")
    return found


def nested_runs(run: Path) -> list[Path]:
    """Return the runs within a run: checks of its judges."""
    return [path for path in sorted((run / "judge_checks").glob("*/")) if is_run(path)]


def _sealed_folders(run: Path) -> Iterator[Path]:
    nested = set(nested_runs(run))
    for place, folders, files in os.walk(run):
        folders[:] = sorted(name for name in folders if Path(place, name) not in nested)
        if SUMS in files:
            yield Path(place)


def _check_sums(run: Path, folder: Path, found: Findings) -> None:
    try:
        names = sorted(known_sums(folder))
    except StoreError as error:
        found.differs.append(error.message)
        return
    for name in names:
        path = folder / name
        if not os.path.lexists(path):
            if _must_be_there(run, path):
                found.differs.append(f"{_within(run, path)} is gone")
            continue
        found.files += 1
        _note_fault(found, partial(check_file, path))


def _note_fault(found: Findings, check: Callable[[], object]) -> None:
    try:
        check()
    except StoreError as error:
        found.differs.append(error.message)


def _must_be_there(run: Path, path: Path) -> bool:
    """Return whether a file that was noted must exist: a kill may have come before it was made.

    None did in a run that was finished.
    """
    if path.parent.parent == run / "artifacts":
        return (path.parent / "artifact.json").is_file()
    written_at_the_end = path.parent in (run, run / "plan") or run / "report" in path.parents
    if written_at_the_end and noted(run) is not None:
        return True
    return path.parent.name in _DATA or _within(run, path) in _MADE


def _check_keyed(run: Path, path: Path, model: type[Record], found: Findings) -> None:
    """Compare a set's name, which is the hash of its rows, with the rows."""
    found.files += not is_sealed(path)
    try:
        rows = read_rows(path, model)
    except StoreError as error:
        if not is_sealed(path):
            found.differs.append(error.message)
        return
    if not fits_key(rows, path.stem):
        found.differs.append(f"{_within(run, path)}: its rows have another hash than its name")


def _check_spending(run: Path, found: Findings) -> None:
    path = run / SPEND
    if not os.path.lexists(path):
        return
    found.files += 1
    try:
        bare = Ledger(path).num_unchecked()
    except StoreError as error:
        found.differs.append(error.message)
        return
    if bare:
        found.unknown.append(f"{SPEND} ({bare} lines without checksums)")


def _tell_unsealed(run: Path, found: Findings) -> None:
    paths = [run / name for name in (*_MADE, "summary.json")]
    paths += [*run.glob("plan/[0-9]*.json"), *run.glob("plan.json")]
    paths += [
        path for path in run.glob("artifacts/*/*") if path.suffix in (".json", ".safetensors")
    ]
    for path in paths:
        if path.is_file() and not is_sealed(path):
            found.unknown.append(f"{_within(run, path)} (written without a checksum)")


def _check_segments(
    run: Path, folder: Path, model: type[Completion] | type[Score], found: Findings
) -> None:
    # folders are named by the keys of judge and cell
    home = (folder.name, folder.parent.name if model is Score else None)
    try:
        result = read_segments(
            folder, model, lambda row: (row.cell, getattr(row, "judge", None)) == home
        )
        filled = [(path, data) for path in list_segments(folder) if (data := read_bytes(path))]
        bare = [path for path, data in filled if not has_checksums(data)]
    except StoreError as error:
        found.differs.append(error.message)
        return
    found.files += len(list_segments(folder))
    found.rows += len(result.rows)
    for line in [*result.invalid, *result.conflicts]:
        found.differs.append(line.removeprefix(f"{run}/"))
    for path in bare:
        found.unknown.append(f"{_within(run, path)} (rows without checksums)")


def _within(run: Path, path: Path) -> str:
    return str(path.relative_to(run))
