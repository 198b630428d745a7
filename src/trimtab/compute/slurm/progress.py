"""How far a run was whenever a job began and ended, and whether another start is worth it."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from trimtab.compute.slurm.groups import owed_units
from trimtab.core.errors import StoreError
from trimtab.core.files import append_synced, make_dir, read_bytes
from trimtab.runs.store.run import Run
from trimtab.runs.work.state import State, rows_of
from trimtab.runs.work.units import units

MOST_IDLE = 3
"""How many starts in a row may come no further before a job is given up."""


class Mark(BaseModel):
    """How far a run was at one moment, and when a job was there.

    Attributes:
        event: Whether the job began or ended then.
        time: Seconds since the epoch, by that machine's clock, for people.
        host: The machine.
        restart: How often SLURM had started the job before.
        code: Exit code of the worker, at the end.
        owed_units: Units of which something is missing.
        owed_rows: What they are short of: rows, scores, artifacts.
        done_rows: What is there of all that is planned.
        fitted_bytes: Bytes of artifacts and of trainings that are under way.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    event: Literal["begin", "end"]
    time: float
    host: str
    restart: int
    code: int | None = None
    owed_units: int
    owed_rows: int
    done_rows: int
    fitted_bytes: int


def look(run: Run, event: Literal["begin", "end"], code: int | None = None) -> Mark:
    """Return how far ``run`` is now."""
    total, done = rows_of(State(run), units(run))
    return Mark(
        event=event,
        time=round(time.time(), 3),
        host=socket.gethostname(),
        restart=int(os.environ.get("SLURM_RESTART_COUNT") or 0),
        code=code,
        owed_units=len(owed_units(run)),
        owed_rows=total - done,
        done_rows=done,
        fitted_bytes=sum(_sizes(run.dir / "artifacts")),
    )


def note(run_dir: Path, job: str, mark: Mark) -> None:
    """Add a mark to those of a job.

    Raises:
        StoreError: The file can't be written.
    """
    path = _file(run_dir, job)
    make_dir(path.parent)
    append_synced(path, mark.model_dump_json().encode() + b"\n")


def marks(run_dir: Path, job: str) -> list[Mark]:
    """Return the marks of a job in their order; torn lines are left out."""
    try:
        lines = read_bytes(_file(run_dir, job)).split(b"\n")
    except StoreError:
        return []
    found = []
    for line in lines:
        try:
            found.append(Mark.model_validate(json.loads(line)))
        except (ValueError, ValidationError):
            continue
    return found


def idle_starts(some: list[Mark]) -> int:
    """Return how many of the last starts, one after the other, came no further."""
    idle = 0
    began: Mark | None = None
    for mark in some:
        if mark.event == "begin":
            began = mark
        elif began is not None:
            idle = 0 if _is_further(began, mark) else idle + 1
            began = None
    return idle


def _is_further(began: Mark, ended: Mark) -> bool:
    """Return whether rows were added; a training that is under way counts by its files."""
    more = ended.done_rows > began.done_rows
    return more or ended.fitted_bytes > began.fitted_bytes


def _file(run_dir: Path, job: str) -> Path:
    return run_dir / "slurm" / "progress" / f"{job}.jsonl"


def _sizes(folder: Path) -> Iterator[int]:
    for place, _, files in os.walk(folder):
        for name in files:
            try:
                yield os.lstat(os.path.join(place, name)).st_size
            except OSError:
                continue
