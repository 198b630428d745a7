"""Runs on a real SLURM of two virtual nodes: jobs from submission to the report."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import slurm_cluster
import yaml
from cli_process import Command, trimtab
from slurm_cluster import wait_until
from small_run import make_parts

from trimtab.cli import jobs
from trimtab.compute.chaos.comparison import fitted, num_records, records
from trimtab.compute.slurm import client, progress, submissions
from trimtab.compute.slurm.status import standing
from trimtab.compute.slurm.submit import live_jobs
from trimtab.core.errors import ConfigError, HeldError
from trimtab.core.types import Completion
from trimtab.runs.store.run import Run

SMALL = {"gpus": 0, "cpus": 1, "memory_gib": 2, "minutes": 30}
LARGE = {"gpus": 0, "cpus": 1, "memory_gib": 4, "minutes": 30}
CONFIGS = Path(__file__).parents[2] / "configs"
RECIPES = sorted(path.parent.name for path in CONFIGS.glob("*/smoke.yaml"))
_LONG = 1200
_ABSENT = slurm_cluster.missing()
pytestmark = [
    pytest.mark.skipif(_ABSENT is not None, reason=str(_ABSENT)),
    pytest.mark.timeout(900),
]

# A worker that works on nothing until it is told to end; all else is trimtab itself.
IDLER = """#!/bin/bash
if [ "$1" = work ]; then
    trap 'exit 75' USR2 TERM
    while true; do sleep 0.1; done
fi
exec "$PYTHON_OF_TESTS" -m trimtab "$@"
"""


@pytest.fixture(scope="module")
def slurm() -> Iterator[None]:
    """Run a cluster for this file, which SLURM's commands find by the environment."""
    with slurm_cluster.cluster() as cluster, pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLURM_CONF", str(cluster.conf))
        patch.setenv("PYTHON_OF_TESTS", sys.executable)
        yield


def _submit(run: Path, profile: Path, *, again: bool = False, dry_run: bool = False) -> None:
    jobs.submit(run, profile, None, dry_run=dry_run, again=again, trusted=False)


def _profile(folder: Path, **keys: object) -> Path:
    path = folder / "cluster.yaml"
    sizes: dict[str, object] = {"models": {"t": SMALL}, "without_model": SMALL}
    path.write_text(yaml.safe_dump({**sizes, "signal_seconds": 20, **keys}))
    return path


def _logs(run: Path) -> str:
    return "\n".join(path.read_text() for path in sorted(run.glob("slurm/0*/*.log")))


def _squeue(job: str) -> list[str]:
    found = subprocess.run(["squeue", "-h", "-j", job, "-o", "%T %r"], capture_output=True)
    return found.stdout.decode().split()


@pytest.fixture
def idle_run(tmp_path: Path) -> Run:
    return Run.create(tmp_path / "a run", **make_parts())


@pytest.fixture
def idlers(tmp_path: Path) -> Path:
    """Return a profile whose workers do nothing."""
    command = tmp_path / "idler"
    command.write_text(IDLER)
    command.chmod(0o755)
    return _profile(tmp_path, workers=1, partition="low", command=[str(command)])


@pytest.mark.campaign
def test_a_run_is_cancelled_submitted_again_and_ends_as_one_that_nobody_disturbed(
    slurm: None, config: Path, finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, profile = tmp_path / "my run", _profile(tmp_path, workers=2)
    assert trimtab(["plan", str(config), "--out", str(run)], tmp_path / "logs").code == 0
    _submit(run, profile)
    opened, planned = Run.open(run), num_records(run)
    with pytest.raises(HeldError, match=live_jobs(opened)[0].id):
        _submit(run, profile)
    wait_until(lambda: num_records(run) > planned + 5 or not live_jobs(opened), 300, _logs(run))
    jobs.cancel(run)
    wait_until(lambda: not live_jobs(opened), 30)
    assert num_records(run) < num_records(finished), "it ended before it was cancelled"
    _submit(run, profile)
    wait_until(lambda: not live_jobs(opened), 400, _logs(run))
    assert records(run) == records(finished), _logs(run)
    assert (run / "summary.json").read_bytes() == (finished / "summary.json").read_bytes()
    _submit(run, profile)
    assert "Nothing is owed" in capsys.readouterr().out


@pytest.mark.campaign
@pytest.mark.timeout(3 * _LONG)
@pytest.mark.parametrize("recipe", RECIPES)
def test_the_smoke_preset_of_a_recipe_is_worked_on_to_its_report(
    recipe: str, slurm: None, tmp_path: Path
) -> None:
    config = str(CONFIGS / recipe / "smoke.yaml")
    alone, run, logs = tmp_path / "alone", tmp_path / "run", tmp_path / "logs"
    done = Command(["run", config, "--out", str(alone)], logs).wait(_LONG)
    assert done.code == 0, done.err
    assert trimtab(["plan", config, "--out", str(run)], logs).code == 0
    sizes = {"models": {"smollm2": LARGE, "minilm": LARGE}, "without_model": LARGE}
    _submit(run, _profile(tmp_path, workers=2, **sizes))
    opened = Run.open(run)
    wait_until(lambda: not live_jobs(opened), _LONG, _logs(run))
    assert records(run) == records(alone), _logs(run)
    assert fitted(run) == fitted(alone)
    assert (run / "summary.json").read_bytes() == (alone / "summary.json").read_bytes()
    assert (run / "report" / "index.html").is_file()
    assert "exit code 0" in _logs(run) and not any(standing(opened, owes=False))


def test_a_preempted_worker_is_started_again_only_while_it_comes_further(
    slurm: None, idle_run: Run, idlers: Path, tmp_path: Path
) -> None:
    _submit(idle_run.dir, idlers)
    job, *_, last = submissions.read(idle_run.dir / "slurm" / "0001").jobs
    element = job.ids()[0]

    def starts() -> int:
        return sum(mark.event == "begin" for mark in progress.marks(idle_run.dir, element))

    wait_until(lambda: starts() == 1 and _squeue(job.id)[0] == "RUNNING", 60)
    time.sleep(0.5)  # the worker itself begins
    lines = standing(idle_run, owes=True)
    assert any(f"job {element} of {job.stage} is running on n" in line for line in lines), lines
    assert any(f"job {last.id} of finish waits for the end of" in line for line in lines), lines
    cell = idle_run.plan.cells[1]
    completion = Completion(
        cell=cell.key,
        sample_id="b",
        protocol="",
        num_prompt_tokens=1,
        text="",
        finish_reason="stop",
    )
    with idle_run.completion_writer(1, cell.key) as writer:
        writer.append([completion])
    taken = ["sbatch", "--parsable", "-N2", "--exclusive", "-o/dev/null", "--wrap", "sleep 1"]
    subprocess.run(taken, check=True, stdout=subprocess.DEVNULL)
    wait_until(lambda: "PENDING" in _squeue(job.id), 60, _logs(idle_run.dir))
    lines = standing(idle_run, owes=True)
    assert any(f"job {element}" in line and "it was requeued" in line for line in lines), lines
    hold = ["scontrol", "update", f"jobid={job.id}", "StartTime=now"]
    wait_until(lambda: subprocess.run(hold, capture_output=True).returncode == 0, 30)
    wait_until(lambda: starts() == 2, 90, _logs(idle_run.dir))
    begun, ended, again = progress.marks(idle_run.dir, element)
    assert (begun.restart, ended.code, again.restart) == (0, 75, 1)
    assert ended.done_rows == begun.done_rows + 1
    # three starts that came no further are behind it, and this is the fourth
    for _ in range(3):
        progress.note(idle_run.dir, element, again.model_copy(update={"event": "end", "code": 75}))
        progress.note(idle_run.dir, element, again)
    time.sleep(0.5)
    subprocess.run(["scancel", "--signal=USR2", job.id], check=True)
    wait_until(lambda: not _squeue(job.id), 90, _logs(idle_run.dir))
    jobs.cancel(idle_run.dir)
    assert "came no further" in _logs(idle_run.dir)
    assert any("ended with exit code 75" in line for line in standing(idle_run, owes=True))


def test_a_cancelled_job_stays_so_and_others_go_on(
    slurm: None, idle_run: Run, idlers: Path, tmp_path: Path
) -> None:
    _submit(idle_run.dir, idlers)
    job = submissions.read(idle_run.dir / "slurm" / "0001").jobs[0]
    sleeper = subprocess.run(
        ["sbatch", "--parsable", "-o/dev/null", "--wrap", "sleep 60"],
        capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    wait_until(lambda: progress.marks(idle_run.dir, job.ids()[0]), 60)
    jobs.cancel(idle_run.dir)
    wait_until(lambda: not _squeue(job.id), 30)
    assert live_jobs(idle_run) == []
    assert _squeue(sleeper)[0] in ("RUNNING", "PENDING")
    client.cancel([sleeper])
    lines = standing(idle_run, owes=True)
    assert any("killed or cancelled" in line or "exit code" in line for line in lines), lines
    assert any("no job waits or runs" in line for line in lines), lines


def test_what_slurm_refuses_leaves_nothing(slurm: None, idle_run: Run, tmp_path: Path) -> None:
    profile = _profile(tmp_path, partition="none-such")
    with pytest.raises(ConfigError, match="invalid partition specified: none-such") as caught:
        _submit(idle_run.dir, profile)
    assert ".generate --cpus-per-task=1 --mem=2G" in str(caught.value)
    assert live_jobs(idle_run) == [] and submissions.folders(idle_run.dir) == []


def test_a_dry_run_shows_scripts_and_when_they_would_start(
    slurm: None, idle_run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _submit(idle_run.dir, _profile(tmp_path), dry_run=True)
    said = capsys.readouterr().out
    assert "#SBATCH --mem=2G" in said and "to start at" in said
    assert not (idle_run.dir / "slurm").exists()


def test_gpus_are_asked_for_by_number(slurm: None, tmp_path: Path) -> None:
    script = "#!/bin/bash\n#SBATCH --gres=gpu:2\n"
    assert "to start at" in client.test_only(script)
    with pytest.raises(ConfigError, match="SLURM refuses"):
        client.test_only(script.replace(":2", ":3"))
