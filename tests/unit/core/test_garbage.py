"""The search for garbage is put off within, and goes on afterwards whatever happens."""

import gc

import pytest

from trimtab.core.garbage import collection_paused


def test_a_pause_ends_with_the_outermost_and_with_an_error() -> None:
    assert gc.isenabled()
    with collection_paused():
        with collection_paused():
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()
    with pytest.raises(ValueError, match="x"), collection_paused():
        raise ValueError("x")
    assert gc.isenabled()
