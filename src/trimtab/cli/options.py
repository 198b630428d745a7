"""Options that several groups of commands take, and what all options with a number hold to."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from trimtab.core.errors import ConfigError, did_you_mean

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


def check_way(on: str | None, ways: Mapping[str, Sequence[str]], given: Mapping[str, Any]) -> None:
    """Raise ConfigError for a way that there is not, or an option that it would not heed.

    Args:
        on: What ``--on`` names; None if it is not given.
        ways: For each way the options that say how.
        given: The values of options; those that are empty were not given.
    """
    if on is not None and on not in ways:
        raise ConfigError(f"--on {on!r}: there is no such way. {did_you_mean(on, ways)}")
    heeded = ways[on] if on is not None else ()
    for option, value in given.items():
        if value is None or value is False:
            continue
        if option not in heeded:
            takers = [name for name, options in ways.items() if option in options]
            raise ConfigError(
                f"{option} needs --on." if on is None else f"--on {on} does not take {option}.",
                hint=f"{option} is for --on {', '.join(takers)}.",
            )
