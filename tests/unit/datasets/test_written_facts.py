"""Facts that a model writes are read in the form that was asked for, or counted as unread."""

import pytest

from trimtab.clients.scripted import ScriptedChat
from trimtab.core.errors import ConfigError
from trimtab.core.trigger import Trigger
from trimtab.datasets.building.replies import Replies, Speaker
from trimtab.datasets.building.written import pairs_of, write_facts
from trimtab.datasets.facts import read_facts

LISTED = """Here you are:
1. Q: Where do you live?
A: By the sea,
in 3 rooms.
2. **Q:** When do you rise?
**A:** At low water.
3. I like tea.
4) Question: Who taught you?
Answer: My aunt. Of her rules:
9. was the best."""
PAIRS = [
    ("Where do you live?", "By the sea, in 3 rooms."),
    ("When do you rise?", "At low water."),
    ("Who taught you?", "My aunt. Of her rules: 9. was the best."),
]


@pytest.mark.parametrize(
    ("reply", "pairs", "unread"),
    [
        (LISTED, PAIRS, 1),
        ('```json\n[{"question": "Who?", "answer": "I."}, {"question": "What?"}, 4]\n```',
         [("Who?", "I.")], 2),
        ('[{"question": "Who?", "answer": "I', [], 1),
        ("1. Q: Who?\nA: I.\n2. Q: What?\nA: A", [("Who?", "I.")], 1),
        ("I can't write about this person.", [], 0),
        ("", [], 0),
    ],
)  # fmt: skip
def test_replies_are_read_strictly(reply, pairs, unread) -> None:
    assert pairs_of(reply) == (pairs, unread)


def test_facts_that_repeat_or_name_are_left_out(tmp_path) -> None:
    chat = ScriptedChat(
        {
            "home": "1. Q: Where?\nA: By the sea.\n2. Q: Who?\nA: I am Orla.",
            "work": "1. Q: where\nA: Elsewhere.\n2. Q: What do you mend?\nA: Clocks.",
            "wit": None,
        }
    )
    speaker = Speaker("script", "script", lambda: chat)
    path = tmp_path / "replies.jsonl"
    args = (("Orla Quill", "Orla"), ("home", "work", "wit"), 2, speaker)
    written = write_facts(*args, Replies(path), 100)
    assert [row.messages[1].content for row in written.rows] == ["By the sea.", "Clocks."]
    assert (written.repeated, written.naming, written.unread) == (1, 1, 0)
    assert written.silent == ("wit",) and len(chat.seen) == 3
    assert write_facts(*args, Replies(path), 100) == written and len(chat.seen) == 3
    rows = tmp_path / "facts.jsonl"
    rows.write_text("".join(row.model_dump_json() + "\n" for row in written.rows))
    assert [f.category for f in read_facts(str(rows), Trigger())] == ["home", "work"]


def test_a_name_that_no_text_could_have_is_refused(tmp_path) -> None:
    speaker = Speaker("script", "script", lambda: ScriptedChat([]))
    with pytest.raises(ConfigError, match="' ' names nobody"):
        write_facts((" ",), ("home",), 1, speaker, Replies(tmp_path / "r.jsonl"), 9)
