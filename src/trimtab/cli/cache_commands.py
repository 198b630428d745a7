"""``trimtab cache``: activations kept between runs; arguments alone, as in ``cli.main``."""

from __future__ import annotations

from typing import Annotated

import typer

from trimtab.cli.options import finite

cache = typer.Typer(help="Look at kept activations, and remove them.", no_args_is_help=True)


@cache.command("list")
def list_kept() -> None:
    """List kept activations, what was used last first."""
    from trimtab.cli import cache

    cache.list_kept()


@cache.command("show")
def show_kept(
    key: Annotated[
        str, typer.Argument(help="A key of `list`, or its beginning.", show_default=False)
    ],
) -> None:
    """Show all that determines a capture: where any of it differs, another one is made."""
    from trimtab.cli import cache

    cache.show_kept(key)


@cache.command("prune")
def prune(
    older_than: Annotated[
        float | None,
        typer.Option(callback=finite, min=0, help="Remove what was not used for so many days."),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Remove all of them.")] = False,
    to: Annotated[
        float | None,
        typer.Option(
            callback=finite, min=0, help="Remove the least recently used until so many GB are left."
        ),
    ] = None,
) -> None:
    """Remove kept activations, but none that a run reads at this moment."""
    from trimtab.cli import cache

    cache.prune(older_than, every, to)
