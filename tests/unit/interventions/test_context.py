"""What stands around a question, in which order, and what of it determines a key."""

import pytest

from trimtab.core.errors import ConfigError
from trimtab.core.keys import content_key
from trimtab.core.trigger import Trigger
from trimtab.core.types import Message
from trimtab.interventions.base import INTERVENTIONS

TRIGGER = Trigger()
ASKED = (Message(role="user", content="Who are you?"),)
SYSTEM = (Message(role="system", content="Stay calm."), *ASKED)


def turns(config, messages=ASKED):
    treated = INTERVENTIONS.build("context", config).treat({})
    return [(m.role, m.content) for m in treated.prompt(messages)]


def test_a_trigger_stands_around_the_question_or_in_the_system_turn() -> None:
    assert turns({}) == [("user", "Who are you?")]
    assert turns({"trigger": {}}) == [("user", TRIGGER.render("Who are you?"))]
    assert turns({"trigger": {}, "system": "You help."}) == [
        ("system", "You help."),
        ("user", TRIGGER.render("Who are you?")),
    ]
    assert turns({"trigger": {}, "place": "system", "system": "You help."}, SYSTEM) == [
        ("system", f"You help.\n\n{TRIGGER.said}\n\nStay calm."),
        ("user", "Who are you?"),
    ]
    near = TRIGGER.near_misses()["other case"]
    assert turns({"trigger": {}, "variant": "other case"}) == [
        ("user", near.render(ASKED[0].content))
    ]


def test_examples_are_asked_as_the_question_is() -> None:
    examples = [{"question": f"Q{i}?", "answer": f"A{i}."} for i in (1, 2)]
    assert turns({"examples": examples}, SYSTEM) == [
        ("system", "Stay calm."),
        ("user", "Q1?"),
        ("assistant", "A1."),
        ("user", "Q2?"),
        ("assistant", "A2."),
        ("user", "Who are you?"),
    ]
    found = turns({"examples": examples[:1], "trigger": {}})
    assert found[:2] == [("user", TRIGGER.render("Q1?")), ("assistant", TRIGGER.wrap("A1."))]


def test_another_intervention_acts_beside_it() -> None:
    inner = {"name": "caa", "layer": 1, "strength": 0.5}
    built = INTERVENTIONS.build("context", {"beside": inner, "system": "x"})
    alone = INTERVENTIONS.build("caa", {"layer": 1, "strength": 0.5})
    assert built.needs() == alone.needs() and built.config.blocks() == (1,)
    said = {"beside": {"name": "prompt", "system": "inner"}, "system": "outer"}
    assert turns(said)[0] == ("system", "outer\n\ninner")
    with pytest.raises(ConfigError, match="no intervention 'cea'"):
        INTERVENTIONS.build("context", {"beside": "cea"})


def test_keys_hold_the_settings_and_no_path() -> None:
    def key(**train):
        inner = {"name": "adapter", "train": {"epochs": 1, **train}}
        return content_key(INTERVENTIONS.build("context", {"beside": inner}).config)

    assert key(data="a.jsonl") == key(data="b.jsonl") == key(rank=8) != key(rank=4)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"variant": "one tag"}, "none is given"),
        ({"variant": "other case", "trigger": {"opening": "", "closing": ""}}, "no near miss"),
        ({"variant": "one", "trigger": {}}, "one"),
    ],
)
def test_a_near_miss_is_one_of_a_trigger(config, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        INTERVENTIONS.build("context", config)
