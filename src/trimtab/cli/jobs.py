"""Jobs of a run on a cluster: submitted, cancelled, and the last one, which reports. No torch."""

from __future__ import annotations

import os
from pathlib import Path

import typer

from trimtab.cli import phases
from trimtab.cli.report_turn import report_turn
from trimtab.cli.terminal import complain, say
from trimtab.compute.slurm import client, progress
from trimtab.compute.slurm import submit as submitting
from trimtab.compute.slurm.profile import Profile
from trimtab.core import stopping
from trimtab.core.counted import counted
from trimtab.core.errors import HeldError, TrimtabError
from trimtab.recipes.base import grower, grows
from trimtab.runs.store import finished
from trimtab.runs.store.run import Run
from trimtab.runs.work import checks
from trimtab.runs.work.phases import record_checks
from trimtab.runs.work.units import KINDS


def submit(
    run_dir: Path,
    profile_file: Path | None,
    workers: int | None,
    *,
    dry_run: bool,
    again: bool,
    trusted: bool,
) -> None:
    """Submit what a run owes, or show what would be submitted."""
    wanted = Profile.read(profile_file)
    if workers is not None:
        wanted = wanted.model_copy(update={"workers": workers})
    run = phases.open_run(run_dir, trusted=trusted)
    if finished.is_finished(run.dir):
        say(f"Nothing is owed, and the report is of what is there: {run.dir}/report/index.html")
        return
    if dry_run:
        _show(run, wanted)
        return
    drafted, folder = submitting.submit(run, wanted, grows=grows(run), again=again)
    for line in drafted.notes:
        say(f"note: {line}")
    for job in submitting.jobs_of(folder):
        number = counted(job.workers, "worker") if job.workers else "one job"
        say(f"submitted {job.stage}: job {job.id}, {number}, {folder / job.stage}.sh")
    say(f"`trimtab status {run_dir}` shows how far they are; `trimtab cancel {run_dir}` ends them.")


def _show(run: Run, wanted: Profile) -> None:
    """Print scripts and what SLURM says of each; raise what it refused, when all were shown."""
    drafted = submitting.draft(run, wanted, run.dir / "slurm", grows=grows(run))
    refused: TrimtabError | None = None
    for script in drafted.scripts:
        say(f"----- {script.file}\n{script.text}")
        try:
            say(f"SLURM says of {script.file}: {client.test_only(script.text)}")
        except TrimtabError as error:
            say(f"SLURM was asked of {script.file}: {error.message}")
            refused = error
    for line in drafted.notes:
        say(f"note: {line}")
    if refused is not None:
        raise refused


def cancel(run_dir: Path) -> None:
    """Cancel the jobs of a run that wait or run and are this user's."""
    live = submitting.live_jobs(Run.open(run_dir))
    own = [job for job in live if job.user == str(os.getuid())]
    if own:
        client.cancel([job.number for job in own])
        say(f"cancelled: {', '.join(job.id for job in own)}")
    else:
        say(f"No job of {run_dir} waits or runs that is yours.")
    others = [job.id for job in live if job not in own]
    if others:
        raise HeldError(f"Jobs of other users work on {run_dir}: {', '.join(others)}.")


def finish(run_dir: Path) -> None:
    """Write checks and report of what is there; the exit code says whether that is all."""
    run = phases.open_run(run_dir)
    record_checks(run, KINDS)
    with report_turn(run):
        phases.show_report(run)
        owed = progress.look(run, "end").owed_units
        if not owed and grower(run)(run) is None:
            finished.mark(run.dir)
    if owed:
        complain(
            f"{counted(owed, 'unit')} of {run.dir} are owed still: see `trimtab status {run.dir}`; "
            f"`trimtab submit {run.dir} --on slurm` goes on."
        )
        raise typer.Exit(stopping.LEFT)
    checks.require(run)
