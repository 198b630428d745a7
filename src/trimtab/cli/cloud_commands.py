"""``trimtab cloud``: arguments alone, as in ``cli.main``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trimtab.cli.options import Trust, finite

cloud = typer.Typer(help="Rent a machine, use it, and end it.", no_args_is_help=True)

Settings = Annotated[
    Path | None,
    typer.Option(
        "--settings", help="Provider and machine (YAML); else cloud.yaml in TRIMTAB_HOME."
    ),
]
Name = Annotated[
    str | None,
    typer.Argument(help="The machine, or a part of its name; the only one if none is given."),
]
On = Annotated[
    str | None,
    typer.Option("--on", help="The machine, or a part of its name; the only one if none is given."),
]
RunDir = Annotated[Path, typer.Argument(help="Run directory.", show_default=False)]


@cloud.command("types")
def types(settings: Settings = None) -> None:
    """List machines that can be rented: price, GPUs, memory, and where they can be had now."""
    from trimtab.cli import cloud_launch

    cloud_launch.types(settings)


@cloud.command("launch")
def launch(
    kind: Annotated[str, typer.Argument(help="A name of `cloud types`.", show_default=False)],
    max_usd: Annotated[float, typer.Option(callback=finite, help="Most dollars it may cost.")],
    max_hours: Annotated[
        float | None,
        typer.Option(callback=finite, help="Most hours; what the dollars pay for, if none."),
    ] = None,
    region: Annotated[str | None, typer.Option(help="Where; any that has it, if none.")] = None,
    yes_spend: Annotated[
        float | None,
        typer.Option(
            callback=finite, help="Confirm so many dollars, where nobody can type the figure."
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the price and what would be sent; launch none.")
    ] = False,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until it is ready.")] = True,
    keeper: Annotated[
        bool,
        typer.Option("--keeper/--no-keeper", help="Start a process here that ends it in time."),
    ] = True,
    settings: Settings = None,
) -> None:
    """Launch a machine after its price was confirmed; it ends before it costs more than allowed."""
    from trimtab.cli import cloud_launch

    cloud_launch.launch(
        settings,
        kind,
        region,
        max_usd,
        max_hours,
        yes_spend,
        dry_run=dry_run,
        waits=wait,
        keeper=keeper,
    )


@cloud.command("wait")
def wait(name: Name = None, settings: Settings = None) -> None:
    """Wait until a machine can be used, and set its deadline on it; else end it."""
    from trimtab.cli import cloud_launch

    cloud_launch.wait(settings, name)


@cloud.command("status")
def status(settings: Settings = None) -> None:
    """Show the machines that are there, what they have cost, and when they end."""
    from trimtab.cli import cloud_ends

    cloud_ends.status(settings)


@cloud.command("ssh")
def ssh(
    name: Name = None,
    command: Annotated[
        list[str] | None, typer.Argument(help="A command; a shell if none is given.")
    ] = None,
    settings: Settings = None,
) -> None:
    """Log in on a machine, or run a command there (after its name and `--`)."""
    from trimtab.cli import cloud_use

    cloud_use.ssh(settings, name, command or [])


@cloud.command("sync")
def sync(run_dir: RunDir, on: On = None, settings: Settings = None, trust: Trust = False) -> None:
    """Copy a run to a machine, and verify every file."""
    from trimtab.cli import cloud_use

    cloud_use.sync(settings, run_dir, on, trusted=trust)


@cloud.command("run")
def run(
    run_dir: RunDir,
    on: On = None,
    terminate: Annotated[
        bool, typer.Option("--terminate", help="End the machine when its work is done and fetched.")
    ] = False,
    other_code: Annotated[
        bool, typer.Option("--other-code", help="The machine may have other code than this one.")
    ] = False,
    settings: Settings = None,
    trust: Trust = False,
) -> None:
    """Have a machine do what a run owes; results are fetched as they come, the report made here."""
    from trimtab.cli import cloud_use

    cloud_use.run(settings, run_dir, on, terminate=terminate, other_code=other_code, trusted=trust)


@cloud.command("fetch")
def fetch(name: Name = None, settings: Settings = None) -> None:
    """Fetch what the runs on a machine have done, and verify it."""
    from trimtab.cli import cloud_use

    cloud_use.fetch(settings, name)


@cloud.command("terminate")
def terminate(
    name: Name = None,
    force: Annotated[
        bool, typer.Option("--force", help="End it though what it has done can't be fetched.")
    ] = False,
    settings: Settings = None,
) -> None:
    """Fetch what a machine has done, end it, and see that it ended."""
    from trimtab.cli import cloud_ends

    cloud_ends.terminate(settings, name, force=force)


@cloud.command("reap")
def reap(
    every: Annotated[
        str | None,
        typer.Option(
            help="Look at the settings' provider again after this time, such as 5m, while any is "
            "there."
        ),
    ] = None,
    settings: Settings = None,
) -> None:
    """End machines that nobody uses, and those whose time is over."""
    from trimtab.cli import cloud_ends

    cloud_ends.reap(settings, every)
