"""``cloud ssh``, ``sync``, ``run`` and ``fetch``: what rented machines are for."""

from __future__ import annotations

import shlex
import subprocess
import time
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

import typer

from trimtab.cli import phases, ssh_jobs
from trimtab.cli.cloud import Cloud, hours, is_being_ended, used
from trimtab.cli.cloud_ends import terminate_record
from trimtab.cli.terminal import say
from trimtab.compute.cloud.ledger import Copy, Record
from trimtab.compute.cloud.machine import fetch_copies
from trimtab.compute.ssh.hosts import Hosts
from trimtab.compute.ssh.transfers import RemoteCopy
from trimtab.core.errors import ConfigError, HeldError, StoreError

_MOST_RESERVE_S = 900.0
_LEAST_S = 60.0


def ssh(settings: Path | None, name: str | None, words: Sequence[str]) -> None:
    """Log in on a machine, or run a command there; the exit code is that of ssh."""
    cloud = Cloud.read(settings)
    record = cloud.ready(name)
    with used(cloud, record):
        try:
            code = subprocess.run(cloud.reach.words(record, words), check=False).returncode
        except FileNotFoundError:
            raise ConfigError("There is no ssh on this machine.", hint="Install it.") from None
    raise typer.Exit(code)


def sync(settings: Path | None, run_dir: Path, name: str | None, *, trusted: bool) -> None:
    """Fetch what a machine has of a run, then copy the run there, and verify every file.

    Raises:
        HeldError: Workers are at work there, or another process submits the run.
        StoreError: The machine has another run of this folder, which was not fetched.
    """
    cloud = Cloud.read(settings)
    record = cloud.ready(name)
    run = phases.open_run(run_dir, trusted=trusted)
    with used(cloud, record), ssh_jobs.submitting(run.dir):
        copy = cloud.reach.copy(record, run.dir)
        _settle_former(cloud, record, run.dir, copy)
        copy.push(run.dir)
        cloud.ledger.note_copy(record.tag, run.dir, Copy(there=copy.there))
    say(f"{run.dir} is on {record.tag}: {copy.there}")


def run(
    settings: Path | None,
    run_dir: Path,
    name: str | None,
    *,
    terminate: bool,
    other_code: bool,
    trusted: bool,
) -> None:
    """Have a machine do what a run owes, fetching results as they come; then report here."""
    cloud = Cloud.read(settings)
    record = cloud.ready(name)
    opened = phases.open_run(run_dir, trusted=trusted)
    copy = cloud.reach.copy(record, opened.dir)
    hosts = Hosts(hosts=(copy.host,), fetch_minutes=cloud.settings.fetch_minutes)
    again = " ".join(["trimtab cloud run", str(run_dir), "--on", record.tag, *cloud.words])

    def done() -> None:
        cloud.ledger.note_copy(record.tag, opened.dir, Copy(there=copy.there, fetched=time.time()))
        if terminate:
            terminate_record(cloud, record.tag, force=False)

    with used(cloud, record):
        _settle_former(cloud, record, opened.dir, copy)
        # before anything is there: whoever ends the machine must know of it
        cloud.ledger.note_copy(record.tag, opened.dir, Copy(there=copy.there))
        ssh_jobs.work_on_hosts(
            opened,
            hosts,
            again,
            other_code=other_code,
            more_options=lambda: _until(record),
            then=done,
        )


def fetch(settings: Path | None, name: str | None) -> None:
    """Fetch what every run on a machine has, verified."""
    cloud = Cloud.read(settings)
    record = cloud.ready(name)
    # what ends a machine has this command fetch from it first: that is no use
    with nullcontext() if is_being_ended(cloud, record) else used(cloud, record):
        failed = fetch_copies(cloud.ledger, cloud.reach, record, time.time())
    if failed:
        raise StoreError(f"{record.tag}: {'; '.join(failed)}", hint="Give the command again.")
    for run_dir in record.copies:
        say(f"{run_dir}: what {record.tag} has done is here")
    if not record.copies:
        say(f"No run was copied to {record.tag}.")


def _settle_former(cloud: Cloud, record: Record, run_dir: Path, copy: RemoteCopy) -> None:
    """Fetch what a machine has of the folder of a run in another copy than the run's own.

    The ledger knows one copy of a folder. Whoever ends the machine would not see the other one.

    Raises:
        HeldError: Workers are at work there.
        StoreError: It is a copy of another run, or can't be fetched.
    """
    name = str(run_dir.resolve())
    former = record.copies.get(name)
    if former is None or former.there == copy.there:
        return
    kept = cloud.reach.noted_copy(record, name)
    if kept.look().running:
        stop = shlex.join([*kept.host.command, "ssh", "stop", kept.there])
        raise HeldError(
            f"Workers are at work on {record.tag} in {kept.there}, for what was in {run_dir} "
            "before.",
            hint=f"Plan this run in another folder, or end them: `trimtab cloud ssh {record.tag} "
            f"-- {stop}`.",
        )
    kept.fetch(run_dir)


def _until(record: Record) -> list[str]:
    """Return what workers are told of a machine's end, with time to fetch what they did last.

    Raises:
        StoreError: The time is over.
    """
    left = record.deadline - time.time()
    reserve = min(_MOST_RESERVE_S, 0.1 * (record.deadline - record.start))
    if left - reserve < _LEAST_S:
        raise StoreError(
            f"The time of {record.tag} is over ({hours(max(left, 0) / 3600)} left); what it did "
            "was fetched.",
            hint="Launch another machine and give the same command.",
        )
    return ["--deadline", f"{int(left - reserve)}s"]
