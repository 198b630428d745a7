"""``trimtab calibrate``, and options of ``plan``: arguments alone, as in ``cli.main``."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trimtab.cli.options import check_way, finite

if TYPE_CHECKING:
    from trimtab.recipes.base import Recipe, RecipeConfig

Way = Annotated[
    str | None, typer.Option("--on", help="As a queue and in hours: local, slurm, ray or cloud.")
]
Profile = Annotated[
    Path | None, typer.Option(help="With --on slurm, ray or cloud: what it wants (YAML).")
]
Price = Annotated[
    float | None,
    typer.Option(
        callback=finite,
        min=0,
        help="With --on local, slurm or ray: dollars of one worker for an hour.",
    ),
]


_WAYS = {
    "local": ("--price",),
    "slurm": ("--profile", "--price"),
    "ray": ("--profile", "--price"),
    "cloud": ("--profile",),  # prices are the provider's
}
"""Where workers would be, and which options say how."""


def queue(
    on: str | None, profile: Path | None, price: float | None
) -> Callable[[Recipe[RecipeConfig]], None] | None:
    """Return what shows a plan as a queue, if it is to be; what is wrong is told before all else.

    Raises:
        ConfigError: There is no such way, or an option changes nothing.
    """
    check_way(on, _WAYS, {"--profile": profile, "--price": price})
    if on is None:
        return None
    from trimtab.cli import plan_on

    return partial(plan_on.show, place=plan_on.Place(on, profile, price))


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
