"""``submit --on ray``: units are handed out to actors of a cluster; the report is written here."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from trimtab.cli import phases, ssh_jobs
from trimtab.cli.pool import Board
from trimtab.cli.pool_size import thread_variables
from trimtab.cli.ray_worker import RayWorker
from trimtab.cli.terminal import say
from trimtab.compute.ray import state
from trimtab.compute.ray.cluster import Cluster, connect
from trimtab.compute.ray.placement import Request, room
from trimtab.compute.ray.pool import Pool, Work
from trimtab.compute.ray.profile import Profile
from trimtab.compute.ray.staff import Staff
from trimtab.compute.resources import uses_gpu
from trimtab.compute.slurm.groups import owed_units
from trimtab.core import stopping
from trimtab.core.counted import counted
from trimtab.core.errors import HeldError, JudgeError, StoreError
from trimtab.core.secrets import VARIABLES
from trimtab.core.spec import ModelSpec
from trimtab.models.threads import take_readings
from trimtab.runs.store import finished, manifest
from trimtab.runs.store.attempts import recorded_threads
from trimtab.runs.store.claims import claim
from trimtab.runs.store.run import Run
from trimtab.runs.usage.memory import bytes_of_worker, planned_models
from trimtab.runs.work import checks
from trimtab.runs.work.phases import record_checks
from trimtab.runs.work.units import KINDS

_PASSED_ON = ("TRIMTAB_", "HF_")
_SECONDS_TO_END = 60.0


def submit(
    run_dir: Path,
    address: str | None,
    profile_file: Path | None,
    workers: int | None,
    *,
    other_code: bool,
    trusted: bool,
) -> None:
    """Have actors of a Ray cluster do what a run owes; then checks and report here.

    Raises:
        ConfigError: Ray is not installed, or no node has what a worker needs.
        HeldError: Another process does so for this run.
        StoreError: The cluster can't be reached.
        WorkerError: A unit failed.
        MemoryShortError: A unit was short of memory, and again where it had more.
        JudgeError: A judge failed; the report of the rest is written.
    """
    profile = Profile.read(profile_file)
    if workers is not None:
        profile = profile.model_copy(update={"workers": workers})
    address = address or profile.address or os.environ.get("RAY_ADDRESS") or None
    run = phases.open_run(run_dir, trusted=trusted)
    if finished.is_finished(run.dir):
        say(f"Nothing is owed, and the report is of what is there: {run.dir}/report/index.html")
        checks.require(run)
        return
    again = f"trimtab submit {run_dir} --on ray{f' --address {address}' if address else ''}"
    with claim(run.dir, "submit") as mine, stopping.going_on_with(again):
        if mine is None:
            raise HeldError(f"Another process submits {run.dir} now.", hint="See `trimtab status`.")
        failed = _work(run, address, profile, other_code=other_code)
    run = phases.open_run(run_dir, trusted=trusted)
    if failed is None and owed_units(run):
        phases.run_all(run)  # what only this machine may do, or what tells why nothing goes on
        return
    record_checks(run, KINDS)
    phases.show_report(run)
    if failed is not None:
        raise JudgeError(failed)
    finished.mark(run.dir)
    checks.require(run)


def _work(run: Run, address: str | None, profile: Profile, *, other_code: bool) -> str | None:
    kinds = ssh_jobs._kinds(run)
    asked = requests(run, profile)
    source = None if other_code else str(manifest.code()["source"])

    def make(request: Request) -> tuple[type, Sequence[object]]:
        variables = {
            name: value
            for name, value in os.environ.items()
            if name.startswith(_PASSED_ON) and name not in VARIABLES
        }
        variables |= thread_variables(request.cpus)
        return RayWorker, (os.path.abspath(run.dir), variables, source)

    def grow() -> bool:
        return "score" in kinds and phases.grow_plan(run)

    with connect(address, take_readings(new=False).allowed) as cluster:
        driver = state.begin(run.dir, cluster.name)
        board = Board(run, cluster.name)
        try:
            say(f"run: {run.dir}")
            say(_described(cluster, asked))
            ssh_jobs._tell_devices(run)
            staff = Staff(
                cluster,
                make,
                asked.__getitem__,
                profile.workers,
                60 * profile.patience_minutes,
                board.note,
            )
            failed = Pool(cluster, staff, Work(run, kinds, grow, board.note, board.look)).run()
            board.look(now=True)
        finally:
            board.close()
            state.end(run.dir, driver)
    return failed


def requests(run: Run, profile: Profile) -> dict[str | None, Request]:
    """Return what a worker needs, by the model that it holds.

    A profile's word holds; else GPUs are those of the presets, and memory is what an estimate from
    the model says.
    """
    chosen = take_readings(new=False).asked or recorded_threads(run.dir)
    found: dict[str | None, Request] = {}
    models: dict[str | None, ModelSpec | None] = {None: None}
    models.update(planned_models(run))
    for key, spec in models.items():
        given = profile.without_model if spec is None else profile.given(spec)
        preset = profile.of_models([] if spec is None else [spec])
        gpus = preset.gpus if spec is not None and uses_gpu(spec) else 0
        cpus = given.cpus if given is not None else preset.cpus if gpus else 1
        memory = bytes_of_worker(spec) if given is None else given.memory_gib << 30
        found[key] = Request(chosen or cpus, gpus, memory)
    return found


def _described(cluster: Cluster, asked: Mapping[str | None, Request]) -> str:
    """Return the line on what a cluster has, and how many workers that is room for."""
    nodes = cluster.nodes()
    most = max(asked.values(), key=lambda request: (request.gpus, request.memory))
    return (
        f"workers: room for {room(nodes, most)} on {cluster.name} ({counted(len(nodes), 'node')}); "
        f"one needs {most}"
    )


def cancel(run_dir: Path) -> bool:
    """End whoever hands out units of a run on this machine; return whether anybody was told to.

    Raises:
        HeldError: Somebody may do so on another machine.
        StoreError: It was told to, and does not end.
    """
    driver = state.read(run_dir)
    if driver is None or (at_work := state.works(run_dir, driver)) is False:
        return False
    process = driver.process
    if at_work is None:
        raise HeldError(
            f"Units of {run_dir} may be handed out by process {process.pid} on {process.host}.",
            hint="Give the command there; or end that process.",
        )
    os.kill(process.pid, signal.SIGTERM)
    end = time.monotonic() + _SECONDS_TO_END
    while process.is_alive():
        if time.monotonic() > end:
            raise StoreError(f"Process {process.pid} was told to end and has not ended yet.")
        time.sleep(0.1)
    say(f"ended: process {process.pid}, and the workers that it had on {driver.cluster}")
    return True
