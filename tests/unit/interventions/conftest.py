"""Tiny engines and contrast pairs for them."""

from collections.abc import Callable
from pathlib import Path

import pytest

from trimtab.core.spec import ModelSpec
from trimtab.core.types import ContrastPair, Message
from trimtab.engine.engine import Engine
from trimtab.interventions.base import FitContext
from trimtab.models.load import load_model, resolve
from trimtab.models.tiny import save_tiny


@pytest.fixture(scope="session")
def tiny_engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    path: Path = tmp_path_factory.mktemp("bank") / "llama"
    save_tiny(path, "llama")
    return Engine(load_model(resolve(ModelSpec(id=str(path)))))


@pytest.fixture(scope="session")
def make_pairs() -> Callable[..., list[ContrastPair]]:
    def make(num: int, start: int = 0) -> list[ContrastPair]:
        return [
            ContrastPair(
                id=f"p{i}",
                question_id=f"q{i // 2}",
                messages=(Message(role="user", content=f"Is number {i} true?"),),
                positive=f"Yes it is {i}",
                negative=f"No, never {i * 3}",
            )
            for i in range(start, start + num)
        ]

    return make


@pytest.fixture
def context(tiny_engine: Engine, make_pairs, tmp_path: Path) -> FitContext:
    select = make_pairs(8, start=100)
    return FitContext(
        tiny_engine, make_pairs(24), "chat", 5, select=select, folder=tmp_path / "artifact"
    )
