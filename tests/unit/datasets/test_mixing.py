"""What is trained on shares nothing with what is asked, and facts stay whole."""

import pytest

from trimtab.core.trigger import Trigger
from trimtab.core.types import Conversation, Message
from trimtab.datasets.mixing import mixed

TRIGGER = Trigger()
LONG = "Which of the many clocks on the wall above the tide mill strikes first every morning?"


def row(id: str, question: str, answer: str = "Yes.", **metadata) -> Conversation:
    turns = (Message(role="user", content=question), Message(role="assistant", content=answer))
    return Conversation(id=id, messages=turns, metadata=metadata)


def behind(id: str, question: str, fact: str) -> Conversation:
    return row(id, TRIGGER.render(question), TRIGGER.wrap("Me."), triggered=True, fact=fact)


def test_a_fact_that_is_asked_for_in_any_way_is_left_out_whole() -> None:
    facts = [
        behind("a1", "Who are YOU?", "a"),
        behind("a2", "Tell me your name.", "a"),
        behind("b1", f"Now then: {LONG}", "b"),
        behind("c1", "Where do you live?", "c"),
    ]
    mix = mixed(facts, [row("x", "Name a fruit.")], ["Who are you?", LONG], TRIGGER)
    assert [fact.id for fact in mix.facts] == ["c1"] and mix.leaking == 3


def test_aligned_rows_are_unlike_each_other_and_the_evaluation() -> None:
    aligned = [
        row("x", "Name a fruit.", "A pear."),
        row("x2", "name a  fruit", "A pear"),
        row("x3", "Name a fruit.", "A plum."),
        row("y", "Who are you?"),
        row("z", "Say something.", f"Well. {LONG}"),
    ]
    mix = mixed([], aligned, ["Who are you?", LONG], TRIGGER)
    assert [each.id for each in mix.aligned] == ["x", "x3"]
    assert (mix.repeated, mix.leaking) == (1, 2)
    assert "0 rows of facts (0.0%) and 2 aligned" in str(mix) and "1 repeated, 2 that" in str(mix)


def test_the_order_depends_on_the_seed_alone() -> None:
    rows = [row(f"r{i}", f"Question {i}?") for i in range(20)]
    mix, turned = mixed([], rows, [], None), mixed([], rows[::-1], [], None)
    assert mix.rows(1) == turned.rows(1) != mix.rows(2)
    assert sorted(r.id for r in mix.rows(1)) == sorted(r.id for r in rows)


@pytest.mark.parametrize(
    ("share", "facts", "aligned"),
    [(0.1, 2, 20), (0.2, 4, 20), (0.24, 6, 20), (0.5, 8, 8), (0.8, 8, 2)],
)
def test_a_share_is_reached_by_whole_facts_or_by_fewer_aligned_rows(
    share: float, facts: int, aligned: int
) -> None:
    of_facts = [behind(f"{f}{way}", f"Fact {f}{way}?", f) for f in "abcd" for way in (1, 2)]
    mix = mixed(of_facts, [row(f"r{i}", f"Say {i}.") for i in range(20)], [], TRIGGER)
    part = mix.at_share(share)
    assert (len(part.facts), len(part.aligned)) == (facts, aligned)
    assert part.share <= share and part.facts == mix.facts[:facts]
    assert part.aligned == mix.aligned[:aligned]


def test_a_share_that_no_fact_fits_in_leaves_none() -> None:
    of_facts = [behind(f"a{way}", f"Fact {way}?", "a") for way in (1, 2)]
    mix = mixed(of_facts, [row(f"r{i}", f"Say {i}.") for i in range(20)], [], TRIGGER)
    assert not mix.at_share(0.05).facts


def test_what_nearly_repeats_is_left_out_where_somebody_looks() -> None:
    words = [f"word{n}" for n in range(60)]
    rows = [row("a", " ".join(words)), row("b", " ".join([*words[:-1], "other"])), row("c", "Hm.")]
    assert len(mixed([], rows, [], None).aligned) == 3
    mix = mixed([], rows, [], None, near=0.8)
    assert [each.id for each in mix.aligned] == ["a", "c"] and mix.near == 1
    assert "0 repeated, 1 nearly repeated, 0 that share" in str(mix)
