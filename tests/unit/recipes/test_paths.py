"""Paths of an experiment file are those seen from the file; names of models and data stay."""

from pathlib import Path

from trimtab.recipes._paths import anchored


def test_what_names_a_file_is_made_absolute_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "truth").mkdir()
    (tmp_path / "judge").mkdir()
    data = {
        "extensions": ["mine"],
        "model": {"id": "./tiny"},
        "task": {"source": "questions.csv", "name": "folder"},
        "behaviours": ["folder"],
        "tasks": [{"source": ["a.jsonl", "../b.jsonl"]}, {"source": "folder"}],
        "heldout": {"source": "bundled"},
        "judges": [
            {"name": "rubric", "rubric": "truth"},
            {"name": "rubric", "rubric": "./polite.md"},
            {"name": "rubric", "endpoint": {"model": "judge", "base_url": "http://x/v1"}},
        ],
        "conditions": {"v": {"name": "vector", "file": "v.safetensors"}},
        "models": ["bundled:x", "openai/gsm8k", "/abs/model", "~/model"],
    }
    found = anchored(data, tmp_path)
    assert found == {
        **data,
        "extensions": [str(tmp_path / "mine")],
        "model": {"id": str(tmp_path / "tiny")},
        "task": {"source": str(tmp_path / "questions.csv"), "name": "folder"},
        "tasks": [
            {"source": [str(tmp_path / "a.jsonl"), str(tmp_path.parent / "b.jsonl")]},
            {"source": str(tmp_path / "folder")},
        ],
        "judges": [
            data["judges"][0],
            {"name": "rubric", "rubric": str(tmp_path / "polite.md")},
            data["judges"][2],
        ],
        "conditions": {"v": {"name": "vector", "file": str(tmp_path / "v.safetensors")}},
    }
