"""Question files in every form, and a tiny engine with contrast pairs."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from trimtab.core.spec import ModelSpec
from trimtab.core.types import ContrastPair, Message
from trimtab.engine.engine import Engine
from trimtab.models.load import load_model, resolve
from trimtab.models.tiny import save_tiny
from trimtab.steering.fitted import FitContext

PUBLISHED = Path(__file__).parents[3] / "shared" / "data" / "truthfulqa"

HEADER = [
    "Type",
    "Category",
    "Question",
    "Best Answer",
    "Best Incorrect Answer",
    "Correct Answers",
    "Incorrect Answers",
]


@pytest.fixture
def published() -> Path:
    """The folder of the published files; skips where it is absent."""
    if not PUBLISHED.is_dir():
        pytest.skip(f"needs the published TruthfulQA files in {PUBLISHED}")
    return PUBLISHED


@pytest.fixture
def write_csv(tmp_path: Path) -> Callable[..., Path]:
    def write(*rows: list[str], header: list[str] = HEADER, name: str = "TruthfulQA.csv") -> Path:
        path = tmp_path / name
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([header, *rows])
        return path

    return write


@pytest.fixture
def write_jsonl(tmp_path: Path) -> Callable[..., Path]:
    def write(*rows: dict[str, object], name: str = "questions.jsonl") -> Path:
        path = tmp_path / name
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        return path

    return write


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
    return FitContext.of_pairs(
        tiny_engine, make_pairs(24), "chat", 5, select=select, folder=tmp_path / "artifact"
    )
