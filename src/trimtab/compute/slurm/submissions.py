"""Which jobs a run was given to, and what they are called."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from trimtab.compute.slurm.groups import group_names
from trimtab.core.errors import StoreError
from trimtab.core.files import make_dir
from trimtab.core.records import read_json, write_json
from trimtab.runs.store.run import Run

_JOBS = "jobs.json"
_NUMBER = re.compile(r"[0-9]{4,9}")


class SubmittedJob(BaseModel):
    """A job, or an array of them.

    Attributes:
        stage: Name of its stage.
        id: What SLURM calls it.
        workers: Elements of the array; 0 is a job without one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    stage: str
    id: str
    workers: int

    def ids(self) -> list[str]:
        """Return the ids of its elements, as people write them."""
        return [f"{self.id}_{i}" for i in range(self.workers)] or [self.id]


class Submission(BaseModel):
    """What one ``trimtab submit`` gave to SLURM.

    Attributes:
        jobs: In the order in which they wait for one another.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    jobs: tuple[SubmittedJob, ...] = ()


def job_names(run: Run) -> dict[str, str]:
    """Return what the jobs of ``run`` are called, by stage.

    The names hold a hash of the run's path: a copy of the folder has jobs of its own.
    """
    path = str(run.dir.resolve()).encode(errors="surrogateescape")
    short = "-".join(re.findall(r"[A-Za-z0-9_]+", run.plan.name))[:30] or "run"
    stem = f"trimtab-{short}-{hashlib.sha256(path).hexdigest()[:8]}"
    return {stage: f"{stem}.{stage}" for stage in group_names()}


def new_folder(run_dir: Path) -> Path:
    """Make the folder of the next submission, ``RUN/slurm/0001`` and so on, and return it.

    Raises:
        StoreError: It can't be made.
    """
    number = max((int(path.name) for path in folders(run_dir)), default=0) + 1
    try:
        make_dir(run_dir / "slurm")
        while True:
            folder = run_dir / "slurm" / f"{number:04d}"
            try:
                folder.mkdir()
                return folder
            except FileExistsError:
                number += 1
    except OSError as error:
        raise StoreError(
            f"{run_dir / 'slurm'} can't be written: {error.strerror or error}.",
            hint="The run directory must be writable; free space or change its permissions.",
        ) from error


def folders(run_dir: Path) -> list[Path]:
    """Return the folders of the submissions of a run, in their order."""
    try:
        names = sorted(os.listdir(run_dir / "slurm"))
    except OSError:
        return []
    return [run_dir / "slurm" / name for name in names if _NUMBER.fullmatch(name)]


def record(folder: Path, submission: Submission) -> None:
    """Note what was submitted so far; raise StoreError if that can't be written."""
    write_json(folder / _JOBS, submission)


def read(folder: Path) -> Submission:
    """Return what was submitted from a folder; nothing, if nothing was, or nobody can read it."""
    try:
        return Submission.model_validate(read_json(folder / _JOBS))
    except (StoreError, ValidationError):
        return Submission()
