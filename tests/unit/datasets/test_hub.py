"""Conversations and prompts of the hub are read as those of files; a missing file is no hub id."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from trimtab.core.errors import DataError
from trimtab.datasets.conversations import read_conversations
from trimtab.tasks.base import TASKS

TABLES = {
    "some/chats": {"train": [{"prompt": "One?", "completion": "Two."}], "test": []},
    "some/prompts": {"all": [{"instruction": "Add.", "input": "1, 2"}, {"instruction": "Rest."}]},
    "some/parts": {"a": [], "b": []},
}


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> list:
    asked: list = []

    def load_dataset(name: str, config: str | None):
        asked.append((name, config))
        if name not in TABLES:
            raise OSError(f"{name} is not there.\nMore.")
        return TABLES[name]

    configs = {"some/prompts": ["socratic", "main"]}
    stub = SimpleNamespace(
        load_dataset=load_dataset, get_dataset_config_names=lambda name: configs.get(name, ["own"])
    )
    monkeypatch.setitem(sys.modules, "datasets", stub)
    return asked


def test_rows_of_the_hub_are_those_of_a_file(hub: list) -> None:
    (row,) = read_conversations(Path("some/chats"), "train.data")
    assert [turn.content for turn in row.messages] == ["One?", "Two."]
    config = {"source": "some/prompts", "fractions": {"fit": 1, "select": 0, "test": 0}}
    samples = TASKS.build("instructions", config).samples("fit")
    assert {s.messages[0].content for s in samples} == {"Add.\n\n1, 2", "Rest."}
    assert hub == [("some/chats", None), ("some/prompts", "main")]


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("some/parts", r"given as `train.data`\) has no split train \(found: a, b"),
        ("some/absent", "can't be loaded: some/absent is not there"),
        ("some/absent.jsonl", "does not exist|No such file|not found"),
    ],
)
def test_what_is_not_there_is_told(hub: list, source: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        read_conversations(Path(source), "train.data")
