"""Options that several groups of commands take, and what all options with a number hold to."""

from __future__ import annotations

import math
from typing import Annotated, Any

import typer

Trust = Annotated[
    bool,
    typer.Option("--trust", help="Use the code and the addresses that a run from elsewhere names."),
]


def finite(value: Any) -> Any:
    """Return the value of an option; raise BadParameter if a number of it is infinite or none.

    A range says nothing of them: ``nan`` is neither below its least value nor above its most.
    """
    for number in value if isinstance(value, list) else [value]:
        if isinstance(number, float) and not math.isfinite(number):
            raise typer.BadParameter(f"{number:g} is no finite number.")
    return value
