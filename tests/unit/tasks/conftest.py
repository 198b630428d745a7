"""Small question files in every form, and the published ones where they are present."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest

PUBLISHED = Path(__file__).parents[4] / "shared" / "data" / "truthfulqa"

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
