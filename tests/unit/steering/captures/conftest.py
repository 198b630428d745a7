"""A cache of one's own, and a count of the captures that are made."""

from collections.abc import Callable
from pathlib import Path

import pytest

from trimtab.engine.engine import Engine
from trimtab.engine.request import Activations
from trimtab.interventions.base import INTERVENTIONS
from trimtab.steering.captures.store import Store
from trimtab.steering.fitted import FitContext, Fitted

Fit = Callable[..., Fitted]


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Turn the cache on, in a folder of the test."""
    monkeypatch.setenv("TRIMTAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TRIMTAB_CACHE_GB", "1")
    return Store.here()


@pytest.fixture
def captures(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that grows by the number of rows of each capture that an engine makes."""
    made: list[int] = []
    run = Engine.run

    def counted(engine, requests):
        if isinstance(requests[0].want, Activations):
            made.append(len(requests))
        return run(engine, requests)

    monkeypatch.setattr(Engine, "run", counted)
    return made


@pytest.fixture
def fit() -> Fit:
    def make(context: FitContext, **config) -> Fitted:
        return INTERVENTIONS.build("caa", {"layer": 1, "layers": [0, 1], **config}).fit(context)

    return make
