"""``trimtab calibrate``, and options of ``plan``: arguments alone, as in ``cli.main``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Way = Annotated[
    str | None, typer.Option("--on", help="As a queue and in hours: local, slurm, ray or cloud.")
]
Profile = Annotated[
    Path | None, typer.Option(help="With --on: what the cluster or provider wants (YAML).")
]
Price = Annotated[
    float | None, typer.Option(min=0, help="With --on: dollars of one worker for an hour.")
]


def calibrate(
    target: Annotated[str, typer.Argument(help="Experiment file, or a model.", show_default=False)],
    device: Annotated[
        str | None, typer.Option(help="Where; the file's, or the best there is, if not given.")
    ] = None,
    dtype: Annotated[
        str | None, typer.Option(help="Number format; the file's if none is given.")
    ] = None,
    rows: Annotated[int, typer.Option(min=1, max=1024, help="Rows side by side.")] = 32,
) -> None:
    """Measure how fast a model is on this machine, once: `plan --on` tells hours by it."""
    from trimtab.cli import calibrate as measuring

    measuring.calibrate(target, device, dtype, rows)
