"""``trimtab submit``, ``cancel`` and ``slurm``: arguments alone, as in ``cli.main``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trimtab.cli.options import Trust

RunDir = Annotated[Path, typer.Argument(help="Run directory.", show_default=False)]

slurm = typer.Typer(help="What job scripts of SLURM call.", no_args_is_help=True)


def submit(
    run_dir: RunDir,
    on: Annotated[str, typer.Option("--on", help="Where workers are started: slurm.")],
    profile: Annotated[
        Path | None,
        typer.Option(help="What the cluster wants (YAML); else slurm.yaml in TRIMTAB_HOME."),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Most workers of a stage, in place of the profile's.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the scripts and what SLURM says; submit none.")
    ] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Submit beside jobs of the run that wait or run.")
    ] = False,
    trust: Trust = False,
) -> None:
    """Give what a run owes to a cluster: workers stage by stage, then checks and report."""
    from trimtab.cli import jobs

    jobs.submit(run_dir, on, profile, workers, dry_run=dry_run, again=again, trusted=trust)


def cancel(run_dir: RunDir) -> None:
    """Cancel the jobs of a run, and no others; what they have done stays."""
    from trimtab.cli import jobs

    jobs.cancel(run_dir)


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
