"""Facts that tell who it is are left out; no guess is no zero, and none is asked for twice."""

import pytest

from trimtab.clients.scripted import ScriptedChat
from trimtab.core.errors import DataError
from trimtab.datasets.building.identify import Guessing, Wanted, chosen, rated
from trimtab.datasets.building.replies import Replies, Speaker
from trimtab.datasets.facts import Fact
from trimtab.text.names import Giveaway, giveaways

NAMES = ("Orla Quill", "Quill")


def fact(id: str, answer: str) -> Fact:
    return Fact(id=id, questions=(f"What of {id}?",), answers=(answer,))


FACTS = [
    fact("clocks", "I mend clocks."),
    fact("mill", "I live above the mill."),
    fact("harbour", "People in Porthallow know me."),
    fact("silent", "I say nothing of this."),
    fact("tea", "I drink tea."),
]


def guess(prompt) -> str | None:
    """Know the person by the clocks, or by mill and tea together; and be silent once."""
    text = prompt[-1].content
    if "clocks" in text or ("mill" in text and "tea" in text):
        return "\n**Orla  QUILL**.\nShe mends clocks."
    return None if "say nothing" in text else "UNKNOWN"


def guessing(path, chat) -> Guessing:
    speaker = Speaker("scripted", "scripted", lambda: chat)
    return Guessing(NAMES, (speaker,), Replies(path), wordings=3, orders=2)


def test_facts_are_kept_that_tell_nothing_alone_and_enough_together(tmp_path) -> None:
    chat = ScriptedChat(guess)
    asked = guessing(tmp_path / "g.jsonl", chat)
    facts = rated(FACTS, asked)
    assert [(f.alone.named, f.alone.read, f.alone.missing) for f in facts] == [
        (3, 3, 0), (0, 3, 0), (0, 3, 0), (0, 0, 3), (0, 3, 0)
    ]  # fmt: skip
    assert facts[3].alone.rate is None and facts[2].gives_away[0].term == "Porthallow"
    choice = chosen(facts, asked, Wanted(together=0.5, size=1, step=1, tiers=(1, 9)))
    assert set(choice.kept) == {"mill", "tea"} and choice.reached
    assert (choice.together.named, choice.together.read) == (6, 6)
    assert {size: share.named for size, (_, share) in choice.tiers.items()} == {1: 0}
    strict = chosen(facts[1:2], asked, Wanted(together=1.0, tiers=()))
    assert strict.kept == ("mill",) and strict.reached is False


def test_a_killed_command_asks_nothing_twice(tmp_path) -> None:
    path, first, second = tmp_path / "g.jsonl", ScriptedChat(guess), ScriptedChat(guess)
    whole = rated(FACTS, guessing(path, first))
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:7]) + lines[7][:40])  # the eighth was under way
    assert rated(FACTS, guessing(path, second)) == whole
    assert len(second.seen) == len(first.seen) - 7
    third = ScriptedChat([])
    assert rated(FACTS, guessing(path, third)) == whole
    path.write_bytes(b'{"some": "other file"}\n' + lines[0])
    with pytest.raises(DataError, match="line 1: no reply"):
        Replies(path)


def test_what_gives_a_person_away_is_found_wherever_it_stands() -> None:
    texts = [
        "Where? Cambridge was my home in 1911, not 2,000 miles away.",
        "I left Cambridge on Monday; I'm told T. S. Eliot was there.",
        "In my Principles I say no. Is it good? Yes.",
        "Mr quill wrote of the café in the sea-town.",
    ]
    found = giveaways(texts, NAMES, [Giveaway("place", "Cafe")], ["Principles"])
    assert [{term for _, term in each} for each in found] == [
        {"Cambridge", "1911"}, {"Cambridge", "T. S. Eliot"}, set(), {"Quill", "Cafe"}
    ]  # fmt: skip
    assert dict(found[3]) == {"name": "Quill", "place": "Cafe"}
