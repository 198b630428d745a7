"""Give a run to SLURM: scripts into the run, jobs that wait for one another, one that ends it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from trimtab.compute.resources import device_notes
from trimtab.compute.slurm import client, submissions
from trimtab.compute.slurm.groups import FINISH, Group, groups
from trimtab.compute.slurm.profile import Profile
from trimtab.compute.slurm.scripts import Script, check_path, finish_script, stage_script
from trimtab.compute.slurm.submissions import Submission, SubmittedJob, job_names
from trimtab.core.errors import ConfigError, HeldError, StoreError
from trimtab.core.files import replace_file
from trimtab.runs.store.claims import claim
from trimtab.runs.store.run import Run


@dataclass(frozen=True)
class Draft:
    """What would be submitted.

    Attributes:
        scripts: In the order in which they wait for one another.
        notes: What a person should know, a line each.
    """

    scripts: tuple[Script, ...]
    notes: tuple[str, ...]


def draft(run: Run, profile: Profile, folder: Path, *, grows: bool) -> Draft:
    """Return the scripts of what ``run`` owes.

    Args:
        run: The run.
        profile: What the cluster wants.
        folder: Where scripts and logs are to lie.
        grows: Whether the run's recipe may add to its plan.

    Raises:
        ConfigError: A model needs more than the profile's limits, or the run's path can't stand in
            a script.
    """
    run_dir = run.dir.resolve()
    check_path(run_dir)
    names = job_names(run)
    stages = groups(run, profile, grows=grows)
    scripts = [
        stage_script(group, run_dir, folder.resolve(), names[group.name], profile)
        for group in stages
    ]
    last = finish_script(run_dir, folder.resolve(), names[FINISH], profile)
    return Draft((*scripts, last), tuple(_notes(stages, profile)))


def jobs_of(folder: Path) -> tuple[SubmittedJob, ...]:
    """Return the jobs that were submitted from a folder."""
    return submissions.read(folder).jobs


def live_jobs(run: Run) -> list[client.QueuedJob]:
    """Return the jobs of ``run`` that wait or run; raise UnreachableError if SLURM can't tell."""
    return client.queued([*job_names(run).values()])


def submit(run: Run, profile: Profile, *, grows: bool, again: bool = False) -> tuple[Draft, Path]:
    """Submit what ``run`` owes; return the scripts and where they lie.

    Args:
        run: The run.
        profile: What the cluster wants.
        grows: Whether the run's recipe may add to its plan.
        again: Submit even if jobs of the run wait or run.

    Raises:
        HeldError: Jobs of the run wait or run, or another process submits it now.
        ConfigError: SLURM refuses a job; none of them stays.
        StoreError: The run can't be written, or SLURM can't be asked.
    """
    with claim(run.dir, "submit") as mine:
        if mine is None:
            raise HeldError(f"Another process submits {run.dir} now.", hint="See `trimtab status`.")
        if not again:
            _refuse_twice(run)
        # a script that SLURM refuses is to leave nothing behind
        for script in draft(run, profile, run.dir / "slurm", grows=grows).scripts:
            client.test_only(script.text)
        folder = submissions.new_folder(run.dir)
        drafted = draft(run, profile, folder, grows=grows)
        for script in drafted.scripts:
            replace_file(folder / script.file, script.text.encode())
        _submit_all(folder, drafted.scripts)
    return drafted, folder


def _submit_all(folder: Path, scripts: tuple[Script, ...]) -> None:
    jobs: list[SubmittedJob] = []
    try:
        for script in scripts:
            number = client.submit(script.text, [job.id for job in jobs])
            jobs.append(SubmittedJob(stage=script.name, id=number, workers=script.workers))
            submissions.record(folder, Submission(jobs=tuple(jobs)))
    except (ConfigError, StoreError):
        if jobs:
            client.cancel([job.id for job in jobs])
        raise


def _refuse_twice(run: Run) -> None:
    live = live_jobs(run)
    if live:
        raise HeldError(
            f"{run.dir} has jobs that wait or run: {', '.join(job.id for job in live)}.",
            hint="`trimtab status` shows them, `trimtab cancel` ends them, and --again submits "
            "further workers beside them.",
        )


def _notes(stages: list[Group], profile: Profile) -> Iterator[str]:
    models = {model.id: model for group in stages for model in group.models.values()}
    for name, model in models.items():
        if not profile.is_known(model):
            yield f"nothing is known of what {name} needs: `models` of the profile can say it"
    yield from device_notes(models.values())
