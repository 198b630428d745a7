"""``trimtab submit``, ``cancel`` and ``slurm``: arguments alone, as in ``cli.main``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trimtab.cli.options import Trust, check_way
from trimtab.core.errors import TrimtabError

RunDir = Annotated[Path, typer.Argument(help="Run directory.", show_default=False)]
Deadline = Annotated[
    str | None, typer.Option(help="Begin no unit after this time, such as 90m or 1h30m.")
]

_WAYS = {
    "slurm": ("--profile", "--workers", "--dry-run", "--again"),
    "ssh": ("--hosts", "--other-code"),
    "ray": ("--address", "--profile", "--workers", "--other-code"),
}
"""Where workers are started, and which options say how."""

slurm = typer.Typer(help="What job scripts of SLURM call.", no_args_is_help=True)
ssh = typer.Typer(help="What hosts are asked over ssh.", no_args_is_help=True)


def submit(
    run_dir: RunDir,
    on: Annotated[str, typer.Option("--on", help="Where workers are started: slurm, ssh or ray.")],
    profile: Annotated[
        Path | None,
        typer.Option(
            help="What SLURM or Ray is asked for (YAML); else slurm.yaml or ray.yaml in "
            "TRIMTAB_HOME."
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="With slurm or ray: most workers, in place of the profile's."),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="With slurm: show the scripts and what SLURM says; submit none."
        ),
    ] = False,
    again: Annotated[
        bool,
        typer.Option("--again", help="With slurm: submit beside jobs of the run that are there."),
    ] = False,
    hosts: Annotated[
        Path | None, typer.Option(help="With ssh: the file that names the hosts (YAML).")
    ] = None,
    address: Annotated[
        str | None,
        typer.Option(help="With ray: host:port of a cluster; else one of this machine is started."),
    ] = None,
    other_code: Annotated[
        bool,
        typer.Option("--other-code", help="With ssh or ray: others may have other code than this."),
    ] = False,
    trust: Trust = False,
) -> None:
    """Give what a run owes to a cluster, or to hosts that ssh reaches; then checks and report."""
    from trimtab.cli import jobs, ssh_jobs

    given = {
        "--profile": profile,
        "--workers": workers,
        "--dry-run": dry_run,
        "--again": again,
        "--hosts": hosts,
        "--address": address,
        "--other-code": other_code,
    }
    check_way(on, _WAYS, given)
    if on == "ray":
        from trimtab.cli import ray_jobs

        ray_jobs.submit(run_dir, address, profile, workers, other_code=other_code, trusted=trust)
    elif on == "ssh":
        ssh_jobs.submit(run_dir, hosts, other_code=other_code, trusted=trust)
    else:
        jobs.submit(run_dir, profile, workers, dry_run=dry_run, again=again, trusted=trust)


def cancel(run_dir: RunDir) -> None:
    """Cancel the jobs of a run, and end who has Ray work on it; what was done stays."""
    from trimtab.cli import jobs, ray_jobs, ssh_jobs
    from trimtab.compute.slurm import submissions

    unreached: TrimtabError | None = None
    try:
        told = ray_jobs.cancel(run_dir) or ssh_jobs.tell_hosts(run_dir)
    except TrimtabError as error:  # jobs can be cancelled all the same
        told, unreached = True, error
    if not told or submissions.folders(run_dir):
        jobs.cancel(run_dir)
    if unreached is not None:
        raise unreached


@slurm.command("begin")
def begin(run_dir: RunDir) -> None:
    """Note how far the run is when a job begins."""
    from trimtab.cli import job_steps

    job_steps.begin(run_dir)


@slurm.command("end")
def end(
    run_dir: RunDir,
    code: Annotated[int, typer.Argument(help="Exit code of the worker.", show_default=False)],
    kinds: Annotated[str, typer.Option(help="What the worker was to do.")] = "fit,generate,score",
) -> None:
    """Note how far the run is when a worker has ended; ask for another start if work is left."""
    from trimtab.cli import job_steps

    job_steps.end(run_dir, code, kinds.split(","))


@slurm.command("finish")
def finish(run_dir: RunDir) -> None:
    """Write checks and report; compute nothing, and say what is owed."""
    from trimtab.cli import jobs

    jobs.finish(run_dir)


@ssh.command("look")
def look(run_dir: RunDir) -> None:
    """Print how the workers of a copy stand (JSON)."""
    from trimtab.cli import ssh_steps

    ssh_steps.show_standing(run_dir)


@ssh.command("sums")
def sums(
    run_dir: RunDir,
    whole: Annotated[
        bool, typer.Option("--whole", help="Of everything, and not of results alone.")
    ] = False,
) -> None:
    """Print size and SHA-256 of the files of a copy (JSON)."""
    from trimtab.cli import ssh_steps

    ssh_steps.show_sums(run_dir, whole=whole)


@ssh.command("start")
def start(
    run_dir: RunDir,
    share: Annotated[str, typer.Option(help="Which of the units, such as 0/2.")] = "0/1",
    workers: Annotated[str, typer.Option(help="How many workers: a number, or auto.")] = "auto",
    kinds: Annotated[str, typer.Option(help="Which kinds of units.")] = "fit,generate,score",
    attempts_from: Annotated[int, typer.Option(help="Attempts count from here.")] = 0,
    source: Annotated[str | None, typer.Option(help="Hash of the code.")] = None,
    deadline: Deadline = None,
) -> None:
    """Start workers at a copy that outlive the connection, unless some are there."""
    from trimtab.cli import ssh_steps

    options = ["--share", share, "--workers", workers, "--kinds", kinds]
    options += [] if deadline is None else ["--deadline", deadline]
    ssh_steps.start(run_dir, options, attempts_from, source)


@ssh.command("serve")
def serve(
    run_dir: RunDir,
    share: Annotated[str, typer.Option(help="Which of the units, such as 0/2.")] = "0/1",
    workers: Annotated[str, typer.Option(help="How many workers: a number, or auto.")] = "auto",
    kinds: Annotated[str, typer.Option(help="Which kinds of units.")] = "fit,generate,score",
    deadline: Deadline = None,
) -> None:
    """Be what `start` starts: run workers at a copy until their share is done."""
    from trimtab.cli import ssh_steps

    ssh_steps.serve(run_dir, workers, share, kinds, deadline)


@ssh.command("stop")
def stop(run_dir: RunDir) -> None:
    """Ask the workers of a copy to end; to be called on its host."""
    from trimtab.cli import ssh_steps

    ssh_steps.stop(run_dir)
