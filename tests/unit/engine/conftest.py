"""Tiny random models, loaded the way real ones are."""

from collections.abc import Callable
from pathlib import Path

import pytest

from trimtab.core.spec import ModelSpec
from trimtab.models.load import LoadedModel, load_model, resolve
from trimtab.models.tiny import TinyLayout, save_tiny


@pytest.fixture(scope="session")
def load_tiny(tmp_path_factory: pytest.TempPathFactory) -> Callable[[TinyLayout], LoadedModel]:
    """Return a function that saves and loads a tiny model of a group, once each."""
    known: dict[str, LoadedModel] = {}
    root: Path = tmp_path_factory.mktemp("tiny")

    def load(layout: TinyLayout) -> LoadedModel:
        if layout not in known:
            save_tiny(root / layout, layout)
            known[layout] = load_model(resolve(ModelSpec(id=str(root / layout), device="cpu")))
        return known[layout]

    return load
