"""What ``trimtab work`` takes: kinds of units and a time from now."""

import pytest

from trimtab.cli.work import parse_duration, parse_kinds
from trimtab.core.errors import ConfigError
from trimtab.runs.work.units import KINDS


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("90m", 5400), ("1h30m", 5400), ("0.5h", 1800), ("2d", 172800), (None, None)],
)
def test_a_duration_is_read(text: str | None, seconds: float | None) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "90", "m", "-5m", "0s", "1h 30m", "5 min", "1h30", "inf"])
def test_what_is_no_time_from_now_is_named(text: str) -> None:
    with pytest.raises(ConfigError, match="--deadline: ") as caught:
        parse_duration(text)
    with pytest.raises(ConfigError, match="--patience: "):
        parse_duration(text, "--patience")
    assert repr(text) in str(caught.value) and "1h30m" in str(caught.value)


def test_kinds_stand_in_the_order_of_the_phases() -> None:
    assert parse_kinds(None) == KINDS
    assert parse_kinds("score, fit") == ("fit", "score")
    with pytest.raises(ConfigError, match=r"'scores' is no kind of unit.*score"):
        parse_kinds("fit,scores")
    with pytest.raises(ConfigError, match="names no kind"):
        parse_kinds(" , ")
