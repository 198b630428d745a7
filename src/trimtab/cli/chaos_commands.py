"""``trimtab chaos``: arguments alone, as in ``cli.main``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trimtab.cli.options import Trust, check_way

_WAYS = {"local": (), "slurm": ("--profile",), "ray": ("--address",)}
"""Where workers are started, and which options say how."""


def chaos(
    target: Annotated[
        Path | None,
        typer.Argument(
            help="Experiment file, or a run whose experiment is taken; a toy if none is given.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path, typer.Option(help="Folder for everything that this writes; must be new or empty.")
    ] = Path("chaos"),
    on: Annotated[
        str, typer.Option("--on", help="Where workers are started: local, slurm or ray.")
    ] = "local",
    faults: Annotated[
        str | None,
        typer.Option(help="Kinds of faults, such as kill,disk; all that can be played if not."),
    ] = None,
    count: Annotated[int, typer.Option(min=1, help="Runs for each kind of fault.")] = 5,
    seed: Annotated[int, typer.Option(help="Faults are drawn with it.")] = 0,
    profile: Annotated[
        Path | None, typer.Option(help="With slurm: what the cluster wants (YAML), as for submit.")
    ] = None,
    address: Annotated[
        str | None, typer.Option(help="With ray: host:port of a cluster, as for submit.")
    ] = None,
    trust: Trust = False,
) -> None:
    """Disturb copies of a small run in many ways, go on with them, and tell what was lost.

    Runs the experiment once undisturbed, then again for each fault. Exit code 10: something was
    lost, doubled or changed, or lives on. It touches no process and no job that it did not start.
    """
    check_way(on, _WAYS, {"--profile": profile, "--address": address})
    from trimtab.cli import chaos

    way = chaos.Asked(on, profile, address)
    chaos.play(target, out, way, faults, count, seed, trusted=trust)
