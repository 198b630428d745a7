"""What ``status`` tells of jobs, from what squeue and sacct print."""

from collections.abc import Callable
from pathlib import Path

import pytest

from trimtab.compute.slurm import submissions
from trimtab.compute.slurm.progress import look, note
from trimtab.compute.slurm.status import standing
from trimtab.compute.slurm.submissions import Submission, SubmittedJob, job_names
from trimtab.runs.store.run import Run

Say = Callable[..., None]


@pytest.fixture
def folder(small_run: Run) -> Path:
    """Return the folder of a submission of two workers and the last job."""
    folder = submissions.new_folder(small_run.dir)
    jobs = [
        SubmittedJob(stage="generate", id="12", workers=2),
        SubmittedJob(stage="finish", id="13", workers=0),
    ]
    submissions.record(folder, Submission(jobs=tuple(jobs)))
    return folder


def _queue(run: Run, *rows: tuple[str, str, str, str]) -> str:
    """Return squeue's lines of id, stage, state and reason."""
    names = job_names(run)
    return "".join(
        f"{job}|{job}0|{names[stage]}|{state}|{reason}|2026-01-01T00:00:00|n1|afterany:12|0\n"
        for job, stage, state, reason in rows
    )


def test_a_run_that_was_never_submitted_asks_nobody(small_run: Run, say: Say) -> None:
    assert standing(small_run, owes=True) == []


def test_without_slurm_it_says_that_it_can_not_know(small_run: Run, folder: Path, say: Say) -> None:
    (line,) = standing(small_run, owes=True)
    assert "jobs 12, 13" in line and "There is no squeue on this machine" in line


def test_each_reason_to_wait_is_said_once_per_stage(small_run: Run, folder: Path, say: Say) -> None:
    pending = [("12_0", "generate", "PENDING", "Resources")]
    pending += [("12_1", "generate", "PENDING", "Resources")]
    say("squeue", _queue(small_run, *pending, ("13", "finish", "PENDING", "Dependency")))
    assert standing(small_run, owes=True) == [
        "SLURM: job 12_0 and 1 more of generate wait for free nodes (Resources)",
        "SLURM: job 13 of finish waits for the end of other jobs (afterany:12)",
    ]


def test_a_requeue_hold_is_told_from_other_begin_times(
    small_run: Run, folder: Path, say: Say
) -> None:
    note(small_run.dir, "12_0", look(small_run, "begin"))
    held = [(f"12_{i}", "generate", "PENDING", "BeginTime") for i in (0, 1)]
    say("squeue", _queue(small_run, *held))
    requeued, other = standing(small_run, owes=True)[:2]
    assert "was requeued" in requeued and "jobid=12_00 StartTime=now" in requeued
    assert other == "SLURM: job 12_1 of generate waits until 2026-01-01T00:00:00"


def test_a_job_that_ended_badly_is_told_with_its_log(
    small_run: Run, folder: Path, say: Say
) -> None:
    say("squeue")
    say("sacct", err="Slurm accounting storage is disabled\n", code=1)
    for mark in (look(small_run, "begin"), look(small_run, "end", 137)):
        note(small_run.dir, "12_0", mark)
    note(small_run.dir, "12_1", look(small_run, "begin"))
    first, second, last = standing(small_run, owes=True)
    assert "job 12_0 of generate ended with exit code 137: most likely" in first
    assert str(folder / "generate-12_0.log") in first
    assert "job 12_1 of generate began and noted no end" in second
    assert "no job waits or runs for what is owed" in last


def test_accounts_win_over_what_jobs_noted(small_run: Run, folder: Path, say: Say) -> None:
    say("squeue")
    say("sacct", "12_0|NODE_FAIL|1:0\n12_0|CANCELLED by 0|0:15\n12_1|COMPLETED|0:0\n13|TIMEOUT|0:0")
    for _ in range(2):
        note(small_run.dir, "12_0", look(small_run, "begin"))
    cancelled, late = standing(small_run, owes=False)
    assert "job 12_0 of generate ended as CANCELLED (0:15) after 2 starts" in cancelled
    assert "job 13 of finish ended as TIMEOUT (0:0)" in late
