"""What SLURM does for a run, and why what is owed waits, in lines for a person."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from trimtab.compute.slurm import client, progress, submissions
from trimtab.compute.slurm.client import EndedJob, QueuedJob
from trimtab.compute.slurm.submissions import Submission
from trimtab.compute.slurm.submit import live_jobs
from trimtab.core.counted import counted
from trimtab.runs.store.run import Run

_REASONS = {
    "AssocGrpCpuLimit": "until the account's other jobs need fewer cores",
    "AssocGrpGRES": "until the account's other jobs need fewer GPUs",
    "JobArrayTaskLimit": "until other elements of its array end",
    "JobHeldAdmin": "as an administrator holds it",
    "JobHeldUser": "as it is held; `scontrol release {number}` frees it",
    "PartitionDown": "until its partition is up again",
    "Priority": "for jobs with a higher priority",
    "QOSMaxJobsPerUserLimit": "until other jobs of this user end",
    "ReqNodeNotAvail": "for nodes that are not available now",
    "Resources": "for free nodes",
}
_KILLED = 137
_OF_MEMORY = "most likely it had too little memory (`models` of the profile)"


def standing(run: Run, owes: bool) -> list[str]:
    """Return a line for each job of ``run`` that waits, runs or failed; none if it has none.

    Args:
        run: The run.
        owes: Whether anything is owed.
    """
    folders = submissions.folders(run.dir)
    if not folders:
        return []
    newest = submissions.read(folders[-1])
    try:
        live = live_jobs(run)
    except client.UnreachableError as error:
        ids = ", ".join(job.id for job in newest.jobs)
        return [f"SLURM: what became of jobs {ids} can't be asked from here: {error.message}"]
    lines = [*_running(live), *_pending(run, live)]
    lines += _failed(run, newest, live, folders[-1])
    if owes and not live:
        lines.append(
            f"SLURM: no job waits or runs for what is owed; `trimtab submit {run.dir} --on slurm` "
            "goes on"
        )
    return lines


def _running(live: Sequence[QueuedJob]) -> Iterator[str]:
    for job in live:
        if job.state != "PENDING":
            where = f" on {job.node}" if job.node else ""
            yield f"SLURM: {_name(job)} is {job.state.lower()}{where} since {job.start}"


def _pending(run: Run, live: Sequence[QueuedJob]) -> Iterator[str]:
    """Yield a line for all jobs of one stage that wait for the same."""
    waiting: dict[tuple[str, str], list[str]] = {}
    for job in live:
        if job.state == "PENDING":
            waiting.setdefault((_stage(job), _why(run, job)), []).append(job.id)
    for (stage, why), ids in waiting.items():
        number = "" if len(ids) == 1 else f" and {len(ids) - 1} more"
        waits = "waits" if len(ids) == 1 else "wait"
        yield f"SLURM: job {ids[0]}{number} of {stage} {waits} {why}"


def _why(run: Run, job: QueuedJob) -> str:
    if job.reason == "Dependency":
        return f"for the end of other jobs ({job.dependency})"
    if job.reason in ("BeginTime", "None") and progress.marks(run.dir, job.id):
        return (
            f"until {job.start}: it was requeued, and SLURM holds such a job for about two minutes "
            f"(`scontrol update jobid={job.number} StartTime=now` ends that)"
        )
    if job.reason == "BeginTime":
        return f"until {job.start}"
    if job.reason == "DependencyNeverSatisfied":
        return "for ever, as what it depends on failed; cancel it and submit again"
    known = _REASONS.get(job.reason)
    return (
        f"({job.reason})" if known is None else f"{known.format(number=job.number)} ({job.reason})"
    )


def _failed(run: Run, newest: Submission, live: Sequence[QueuedJob], folder: Path) -> Iterator[str]:
    """Yield a line for each job of the newest submission that ended otherwise than well."""
    alive = {job.id for job in live}
    told = client.ended([job.id for job in newest.jobs])
    accounts: dict[str, EndedJob] = {job.id: job for job in told or ()}
    for job in newest.jobs:
        for element in job.ids():
            if element in alive:
                continue
            fault = _fault(run, element, accounts.get(element), accounted=told is not None)
            if fault is not None:
                log = folder / f"{job.stage}-{element}.log"
                yield f"SLURM: job {element} of {job.stage} {fault}; its log is {log}"


def _fault(run: Run, element: str, account: EndedJob | None, *, accounted: bool) -> str | None:
    """Return how an element failed, by the accounts or else by what it noted itself."""
    marks = progress.marks(run.dir, element)
    code = marks[-1].code if marks else None
    starts = sum(mark.event == "begin" for mark in marks)
    times = f" after {counted(starts, 'start')}" if starts > 1 else ""
    memory = f": {_OF_MEMORY}" if code == _KILLED else ""
    if account is not None:
        if account.state == "COMPLETED":
            return None
        if account.state == "OUT_OF_MEMORY":
            memory = f": {_OF_MEMORY}"
        return f"ended as {account.state} ({account.code}){times}{memory}"
    if code:
        return f"ended with exit code {code}{times}{memory}"
    if marks and marks[-1].event == "begin" and not accounted:
        return f"began and noted no end{times}: it was killed or cancelled"
    return None


def _name(job: QueuedJob) -> str:
    return f"job {job.id} of {_stage(job)}"


def _stage(job: QueuedJob) -> str:
    return job.name.rpartition(".")[2]
