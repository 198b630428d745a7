"""A few instances of each kind of fault of ``bench/campaign.py``."""

from collections.abc import Iterator
from pathlib import Path

import campaign
import pytest
from faults.ground import Ground


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRIMTAB_HOME", "")  # the campaign has a home of its own
        yield Ground.make(Path(tmp_path_factory.mktemp("campaign")))


@pytest.mark.campaign
@pytest.mark.timeout(900)
@pytest.mark.parametrize("number", range(campaign.QUICK))
@pytest.mark.parametrize("kind", campaign.KINDS)
def test_nothing_is_lost_and_nothing_hangs(ground: Ground, kind: str, number: int) -> None:
    assert campaign.play(ground, kind, 0, number).problems == []
