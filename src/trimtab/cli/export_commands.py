"""``trimtab export``: what a run holds, for other programs; arguments alone, as in ``cli.main``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trimtab.cli.options import Trust

export = typer.Typer(
    help="Write a search or training data for other programs; vectors: `vectors export`.",
    no_args_is_help=True,
)


@export.callback()
def exporting() -> None:
    """Write a search or training data for other programs; vectors: `vectors export`."""


@export.command()
def study(
    run_dir: Annotated[Path, typer.Argument(help="Run directory.", show_default=False)],
    to: Annotated[
        str,
        typer.Option(
            "--to",
            help="File to write (SQLite if it ends in .db, else a journal), or the address of a "
            "database: sqlite:///study.db, postgresql://user@host/name.",
        ),
    ],
    trust: Trust = False,
) -> None:
    """Write a search as a study of Optuna's, for optuna-dashboard and others."""
    from trimtab.cli import export as files

    files.study(run_dir, to, trusted=trust)


@export.command()
def training(
    run_dir: Annotated[Path, typer.Argument(help="Run directory.", show_default=False)],
    condition: Annotated[str, typer.Option(help="Condition whose adapter is trained.")],
    program: Annotated[str, typer.Option("--as", help="trl or axolotl.")],
    out: Annotated[Path, typer.Option("--out", help="Folder to make.")],
    model: Annotated[
        str | None, typer.Option(help="Id of its base, where the run has several models.")
    ] = None,
    trust: Trust = False,
) -> None:
    """Write a training's rows and settings for another program; nothing needs to be trained yet."""
    from trimtab.cli import export as files

    files.training(run_dir, condition, program, out, model=model, trusted=trust)


@export.command()
def rewards(
    run_dir: Annotated[Path, typer.Argument(help="Run directory.", show_default=False)],
    out: Annotated[Path, typer.Option("--out", help="File to make, e.g. all_results.json.")],
    trust: Trust = False,
) -> None:
    """Write trainings by rewards as all_results.json: reward, accuracy and grade of each round."""
    from trimtab.cli import export as files

    files.rewards(run_dir, out, trusted=trust)
