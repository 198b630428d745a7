"""The command of workers: several share a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trimtab.cli.options import Trust
from trimtab.core import lifelines, stopping


def work(
    run_dir: Annotated[Path, typer.Argument(help="Run directory.", show_default=False)],
    kinds: Annotated[
        str | None,
        typer.Option(help="Take these units alone, such as fit,generate; all if none are given."),
    ] = None,
    deadline: Annotated[
        str | None, typer.Option(help="Begin no unit after this time, such as 90m or 1h30m.")
    ] = None,
    max_units: Annotated[int | None, typer.Option(min=1, help="Do at most so many units.")] = None,
    patience: Annotated[
        str | None,
        typer.Option(help="Wait so long for other kinds that nobody works on.  [default: 30s]"),
    ] = None,
    other_code: Annotated[
        bool, typer.Option("--other-code", help="Work though this code is not that of the run.")
    ] = False,
    trust: Trust = False,
    share: Annotated[str | None, typer.Option(hidden=True)] = None,
    lifeline: Annotated[int | None, typer.Option(hidden=True)] = None,
) -> None:
    """Join the work on a run; any number of workers, on any machines that see the folder.

    Each takes what no other holds. The last one writes the report. Exit code 75: something is left,
    because of a limit or a signal; nothing finished is lost.
    """
    stopping.latch()
    if lifeline is not None:
        lifelines.hold(lifeline)
    from trimtab.cli import phases, work
    from trimtab.runs.work.stay import PATIENCE_S, Stay

    chosen = work.parse_kinds(kinds)
    waits = work.parse_duration(patience, "--patience") or PATIENCE_S
    stay = Stay(work.parse_duration(deadline), max_units, waits, work.parse_share(share))
    run = phases.open_run(run_dir, trusted=trust)
    if lifeline is not None:
        raise typer.Exit(work.join_pool(run, chosen, stay))
    raise typer.Exit(work.join(run, chosen, stay, other_code=other_code))
