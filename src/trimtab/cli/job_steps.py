"""What a job script calls before and after its worker; it is called often, so it imports little."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path

import typer

from trimtab.cli.terminal import complain, say
from trimtab.compute.slurm import client, progress
from trimtab.compute.slurm.groups import owed_units
from trimtab.core import stopping
from trimtab.core.counted import counted
from trimtab.core.errors import ConfigError
from trimtab.runs.store.processes import scheduled_job
from trimtab.runs.store.run import Run

_SECONDS_UNTIL_THE_END = 60.0


def begin(run_dir: Path) -> None:
    """Note how far a run is when this job begins."""
    run = Run.open(run_dir)
    mark = progress.look(run, "begin")
    progress.note(run.dir, _job(), mark)
    say(
        f"start {mark.restart + 1} of job {_job()} on {mark.host}: "
        f"{counted(mark.owed_units, 'unit')} of {run.dir} are owed, {mark.owed_rows} rows"
    )


def end(run_dir: Path, code: int, kinds: Sequence[str]) -> None:
    """Note how far a run is at the end of a worker, and have this job begin anew if that helps."""
    run = Run.open(run_dir)
    if code == stopping.LEFT and not any(unit.kind in kinds for unit in owed_units(run)):
        code = 0  # what is left is for other stages
    mark = progress.look(run, "end", code)
    progress.note(run.dir, _job(), mark)
    say(
        f"the worker of job {_job()} ended with exit code {code}: "
        f"{counted(mark.owed_units, 'unit')} are owed, {mark.owed_rows} rows"
    )
    if code == stopping.LEFT:
        _begin_anew(run)
    raise typer.Exit(code)


def _begin_anew(run: Run) -> None:
    number = os.environ.get("SLURM_JOB_ID", "")
    idle = progress.idle_starts(progress.marks(run.dir, _job()))
    if idle > progress.MOST_IDLE:
        complain(
            f"Job {_job()} was started {idle} times and came no further, so it is not started "
            f"again: more time may be needed (`models` of the profile). See the log above."
        )
        return
    if not client.is_running(number):
        return  # it was cancelled, or SLURM itself starts it again
    refused = client.requeue(number)
    if refused is not None:
        complain(f"SLURM does not start job {_job()} again: {refused}")
        return
    time.sleep(_SECONDS_UNTIL_THE_END)


def _job() -> str:
    """Return the id of this job; raise ConfigError if no job script of SLURM called this."""
    job = scheduled_job()
    if job is None:
        raise ConfigError(
            "There is no SLURM_JOB_ID: this is called by job scripts.",
            hint="`trimtab submit RUN --on slurm` writes and submits them.",
        )
    return job
