"""Conversations are read in the forms in which people keep them; what is wrong is named."""

import json
from pathlib import Path

import pytest

from trimtab.core.errors import DataError
from trimtab.datasets.conversations import read_conversations, source_of

TURNS = [("user", "One?"), ("assistant", "Two.")]
MESSAGES = [{"role": role, "content": text} for role, text in TURNS]


def read(tmp_path: Path, *rows):
    path = tmp_path / "mine.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return read_conversations(path, "train.data")


@pytest.mark.parametrize(
    "row",
    [
        {"messages": MESSAGES},
        {"conversations": [{"from": "human", "value": "One?"}, {"from": "gpt", "value": "Two."}]},
        {"prompt": "One?", "completion": "Two."},
        {"prompt": MESSAGES[:1], "completion": MESSAGES[1:]},
        {
            "messages": [
                MESSAGES[0],
                {"role": "model", "content": [{"type": "text", "text": "Two."}]},
            ]
        },
    ],
)
def test_every_form_is_the_same_conversation(tmp_path: Path, row) -> None:
    (found,) = read(tmp_path, {**row, "source": "a", "metadata": {"triggered": True}})
    assert [(m.role, m.content) for m in found.messages] == TURNS
    assert found.metadata == {"source": "a", "triggered": True} and source_of(found) == "a"


def test_rows_without_an_id_are_named_by_content(tmp_path: Path) -> None:
    row = {"messages": MESSAGES}
    first, again, named = read(tmp_path, row, row, {**row, "id": 7})
    assert again.id == f"{first.id}-2" and named.id == "7" and source_of(named) == "all"


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"text": "x"}, "none of 'messages', 'conversations' and 'prompt' is given"),
        ({"messages": []}, "'messages' must be a list of turns"),
        ({"messages": [{"role": "judge", "content": "x"}]}, "turn 1 has the role 'judge'"),
        ({"messages": [{"role": "user", "content": None}]}, r"turn 1 \(user\) holds no text"),
        ({"messages": ["x"]}, "turn 1 must be an object"),
        ({"prompt": "x"}, "'completion' must be a text or a list of turns"),
        ({"messages": MESSAGES, "metadata": 3}, "'metadata' must be an object"),
    ],
)
def test_what_is_wrong_names_the_line(tmp_path: Path, row, said) -> None:
    with pytest.raises(DataError, match=f"line 2: {said}"):
        read(tmp_path, {"messages": MESSAGES}, row)


def test_ids_are_unique(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"line 2: the id 'a' is that of .* line 1, too"):
        read(tmp_path, {"id": "a", "messages": MESSAGES}, {"id": "a", "messages": MESSAGES})


def test_a_conversation_without_an_answer_is_named_by_its_line(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    rows = [{"messages": [{"role": "user", "content": "Why?"}]}]
    rows.insert(0, {"messages": [*rows[0]["messages"], {"role": "assistant", "content": "So."}]})
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert len(read_conversations(path, "FILE")) == 2
    with pytest.raises(DataError, match=r"rows\.jsonl line 2: .* no assistant turn"):
        read_conversations(path, "FILE", answered=True)
