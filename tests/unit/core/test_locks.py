"""A lock ends with its block, whatever was forked meanwhile."""

import multiprocessing
from pathlib import Path

import pytest

from trimtab.core.errors import HeldError
from trimtab.core.locks import locked


def test_a_process_that_was_forked_meanwhile_does_not_go_on_holding_it(tmp_path: Path) -> None:
    forking = multiprocessing.get_context("fork")
    end = forking.Event()
    child = forking.Process(target=end.wait, daemon=True)
    with locked(tmp_path / "lock"):
        child.start()
        with pytest.raises(HeldError), locked(tmp_path / "lock", wait=False):
            pass
    with locked(tmp_path / "lock", wait=False):
        pass
    end.set()
    child.join()
