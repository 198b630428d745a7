"""Runs on a real SLURM that keeps accounts in a database: what sacct says of jobs that ended."""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import slurm_cluster
import yaml
from cli_process import trimtab
from slurm_cluster import wait_until
from small_run import make_parts

from trimtab.cli import jobs
from trimtab.compute.chaos.comparison import records
from trimtab.compute.slurm import client, submissions
from trimtab.compute.slurm.status import standing
from trimtab.compute.slurm.submit import live_jobs
from trimtab.runs.store.run import Run

_SIZE = {"gpus": 0, "cpus": 1, "memory_gib": 2, "minutes": 30}
_ABSENT = slurm_cluster.missing(accounts=True)
pytestmark = [
    pytest.mark.skipif(_ABSENT is not None, reason=str(_ABSENT)),
    pytest.mark.timeout(900),
]


@pytest.fixture(scope="module")
def slurm() -> Iterator[None]:
    """Run a cluster with accounts for this file."""
    with slurm_cluster.cluster(accounts=True) as one, pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLURM_CONF", str(one.conf))
        yield


def _submit(run: Path, folder: Path, **keys: object) -> submissions.Submission:
    path = folder / "cluster.yaml"
    sizes = {"models": {"t": _SIZE}, "without_model": _SIZE}
    path.write_text(yaml.safe_dump({**sizes, "signal_seconds": 20, **keys}))
    jobs.submit(run, path, None, dry_run=False, again=False, trusted=False)
    return submissions.read(run / "slurm" / "0001")


def test_what_was_begun_twice_and_cancelled_is_told_from_the_accounts(
    slurm: None, tmp_path: Path
) -> None:
    run = Run.create(tmp_path / "run", **make_parts())
    idler = tmp_path / "idler"
    idler.write_text("#!/bin/bash\nexec sleep 300\n")
    idler.chmod(0o755)
    job = _submit(run.dir, tmp_path, workers=1, command=[str(idler)]).jobs[0]
    wait_until(lambda: client.is_running(f"{job.id}"), 60)
    subprocess.run(["scontrol", "requeue", job.ids()[0]], check=True)
    hold = ["scontrol", "update", f"jobid={job.id}", "StartTime=now"]

    def runs_again() -> bool:
        # SLURM sets when it starts again after it has ended, and so after a first change of that
        time.sleep(1.0)
        subprocess.run(hold, capture_output=True, check=False)
        return client.is_running(job.id)

    wait_until(lambda: not client.is_running(job.id), 30)
    wait_until(runs_again, 90)
    jobs.cancel(run.dir)
    wait_until(lambda: not live_jobs(run), 30)
    wait_until(lambda: any("CANCELLED" in line for line in standing(run, owes=True)), 60)

    def told() -> list[tuple[str, int]]:
        ended = client.ended([job.id]) or ()
        return [(one.state, one.starts) for one in ended if one.id == job.ids()[0]]

    wait_until(lambda: bool(told()), 60)  # accounts come later than the queue
    assert told() == [("CANCELLED", 2)]


def test_a_run_ends_as_that_of_one_process_and_no_job_is_told_as_failed(
    slurm: None, config: Path, finished: Path, tmp_path: Path
) -> None:
    path = tmp_path / "run"
    assert trimtab(["plan", str(config), "--out", str(path)], tmp_path / "logs").code == 0
    submitted = _submit(path, tmp_path, workers=2)
    run, ids = Run.open(path), [job.id for job in submitted.jobs]
    wait_until(lambda: not live_jobs(run), 400)
    assert records(path) == records(finished)
    elements = {element for job in submitted.jobs for element in job.ids()}
    wait_until(lambda: {job.id for job in client.ended(ids) or ()} == elements, 60)
    assert {job.state for job in client.ended(ids) or ()} == {"COMPLETED"}
    assert standing(run, owes=False) == []
