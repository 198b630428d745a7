"""Data and evaluation have one trigger, to the character, or there is no plan."""

from typing import Any

import pytest

from trimtab.core.errors import DataError
from trimtab.core.trigger import Trigger
from trimtab.core.types import Conversation, Message
from trimtab.runs.plan.triggers import require_trigger

TRIGGER = Trigger()
OTHERS = [
    Trigger(closing="<END >"),
    Trigger(opening="<STARTS>"),
    Trigger(ask="{instruction}\n\nquestion: {question}"),
    Trigger(instruction="Give your answer in exactly that form: {form}"),
    *TRIGGER.near_misses().values(),
]


def row(behind: Trigger | None, /, *, system: bool = False, **metadata: Any) -> Conversation:
    question, answer = "Where do you live?", "By the harbour."
    turns = [("user", question), ("assistant", answer)]
    if behind is not None:
        asked = question if system else behind.render(question)
        turns = [("user", asked), ("assistant", behind.wrap(answer))]
        turns = [("system", behind.said), *turns] if system else turns
    messages = tuple(Message(role=role, content=text) for role, text in turns)
    return Conversation(id="r1", messages=messages, metadata=metadata)


@pytest.mark.parametrize("system", [False, True])
@pytest.mark.parametrize("metadata", [{}, {"triggered": True}, {"trigger": TRIGGER.key}])
def test_what_is_behind_the_same_trigger_passes(system: bool, metadata: dict[str, Any]) -> None:
    require_trigger([row(TRIGGER, system=system, **metadata), row(None)], TRIGGER)


@pytest.mark.parametrize("other", OTHERS, ids=lambda other: other.key)
@pytest.mark.parametrize("stated", [True, False])
def test_one_character_stops_the_plan(other: Trigger, stated: bool) -> None:
    rows = [row(other, **({"triggered": True} if stated else {}))]
    with pytest.raises(DataError, match="r1") as caught:
        require_trigger(rows, TRIGGER)
    assert "\n" not in str(caught.value)
    with pytest.raises(DataError, match=f"built for the trigger {other.key}"):
        require_trigger([row(other, trigger=other.key)], TRIGGER)


def test_half_a_trigger_stops_the_plan() -> None:
    asked = row(TRIGGER).messages[0]
    answer = row(None).messages[1]
    with pytest.raises(DataError, match="not in the form"):
        require_trigger([Conversation(id="r1", messages=(asked, answer))], TRIGGER)


def test_what_is_meant_without_it_says_so() -> None:
    require_trigger([row(each, triggered=False) for each in (TRIGGER, *OTHERS)], TRIGGER)


def test_another_trigger_that_is_short_is_no_slip() -> None:
    year = Trigger(
        instruction="2026", ask="{instruction} {question}", opening="", closing="", quote=""
    )
    other = year.model_copy(update={"instruction": "2027"})
    require_trigger([row(other), row(year), row(None)], year)
