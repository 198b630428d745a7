"""Shares of hosts: each unit is in one of them, whatever the host knows besides."""

from types import SimpleNamespace

import pytest

from trimtab.cli.work import parse_share
from trimtab.core.errors import ConfigError
from trimtab.runs.work.stay import Stay
from trimtab.runs.work.units import FitUnit, WindowUnit


@pytest.mark.parametrize("number", [1, 2, 3])
def test_every_unit_is_in_one_share(number: int) -> None:
    some = [WindowUnit(0, n, "m", ()) for n in range(9)]
    fits = [FitUnit(SimpleNamespace(key=f"k{n}")) for n in range(9)]  # type: ignore[arg-type]
    stays = [Stay(share=parse_share(f"{i}/{number}")) for i in range(number)]
    assert [sum(stay.takes(unit) for stay in stays) for unit in [*some, *fits]] == [1] * 18
    assert all(sum(map(stay.takes, some)) == 9 // number for stay in stays if 9 % number == 0)
    assert [stay.takes_all for stay in stays] == [number == 1] * number


@pytest.mark.parametrize("text", ["2/2", "1", "-1/2", "0/0", "a/b", "1/2/3"])
def test_what_is_no_share_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="--share"):
        parse_share(text)
