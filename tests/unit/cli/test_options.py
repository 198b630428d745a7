"""What all options hold to, whatever the command."""

from collections.abc import Iterator
from typing import Any, get_type_hints

import pytest
import typer

from trimtab.cli.main import app
from trimtab.cli.options import finite
from trimtab.core.errors import ConfigError


def options(group: typer.Typer) -> Iterator[tuple[Any, Any]]:
    """Yield type and option for each parameter of all commands."""
    for command in group.registered_commands:
        for hint in get_type_hints(command.callback, include_extras=True).values():
            if hasattr(hint, "__metadata__"):
                yield hint.__origin__, hint.__metadata__[0]
    for below in group.registered_groups:
        yield from options(below.typer_instance)


def test_no_option_takes_a_number_that_is_none_or_infinite() -> None:
    numbers = [option for kind, option in options(app) if "float" in str(kind)]
    assert len(numbers) > 10
    assert {option.callback for option in numbers} == {finite}


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
def test_a_number_that_is_none_or_infinite_is_refused(value: str) -> None:
    for given in (float(value), [0.5, float(value)]):
        with pytest.raises(typer.BadParameter, match="no finite number"):
            finite(given)
    assert finite(None) is None and finite([0.5, 1.0]) == [0.5, 1.0]


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["submit", "R", "--on", "ssh", "--dry-run"], "--on ssh does not take --dry-run"),
        (["submit", "R", "--on", "ray", "--again"], "--on ray does not take --again"),
        (["submit", "R", "--on", "slurm", "--hosts", "h"], "--on slurm does not take --hosts"),
        (["submit", "R", "--on", "moon"], "--on 'moon': there is no such way"),
        (["plan", "F", "--price", "2"], "--price needs --on"),
        (["plan", "F", "--on", "cloud", "--price", "2"], "does not take --price"),
        (["plan", "F", "--on", "local", "--profile", "p"], "does not take --profile"),
        (["chaos", "--profile", "p"], "--on local does not take --profile"),
        (["chaos", "--on", "slurm", "--address", "a:1"], "does not take --address"),
    ],
)
def test_an_option_that_a_way_does_not_heed_is_refused(argv: list[str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        app(argv, standalone_mode=False)
