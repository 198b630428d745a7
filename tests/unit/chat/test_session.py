"""A conversation: who hears what, what commands change, what is kept of it."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from trimtab.chat.commands import Settings
from trimtab.chat.partner import Answer, Asked
from trimtab.chat.session import Output, Session
from trimtab.core.errors import ModelError
from trimtab.core.trigger import Trigger
from trimtab.core.types import SamplingParams


class Echo:
    """Answers with its name and the number of turns that it heard; "break" has no answer."""

    identity = "echo"
    voices = ("tuned", "base")

    def __init__(self) -> None:
        self.asked: list[Asked] = []

    def answers(self, asked: Asked, say: Callable[[str], None]) -> Iterator[tuple[str, Answer]]:
        self.asked.append(asked)
        for voice, messages in asked.messages.items():
            if messages[-1].content == "break":
                raise ModelError("gone")
            text = f"{voice} {len(messages)}"
            if len(asked.messages) == 1:
                say(text)
            yield voice, Answer(text, "eos", 3)


class Screen:
    """What a session says."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.complaints: list[str] = []

    @property
    def output(self) -> Output:
        return Output(self.said.append, self.said.append, lambda e: self.complaints.append(str(e)))


def session(**settings: object) -> tuple[Session, Echo, Screen]:
    echo, screen = Echo(), Screen()
    first = Settings(("tuned",), SamplingParams(max_tokens=5), **settings)
    return Session(echo, first, screen.output, Trigger()), echo, screen


def heard(asked: Asked, voice: str) -> list[str]:
    return [message.content for message in asked.messages[voice]]


def test_each_voice_hears_its_own_answers_and_others_where_it_gave_none() -> None:
    talk, echo, screen = session(system="Be brief.")
    assert talk.run(["one", "/compare on", "two", "/voice base", "three"]) is None
    assert heard(echo.asked[1], "base") == ["Be brief.", "one", "tuned 2", "two"]
    last = ["Be brief.", "one", "tuned 2", "two", "base 4", "three"]
    assert heard(echo.asked[2], "base") == last
    assert screen.said == ["tuned 2", "\n", "tuned: tuned 4", "base: base 4", "base 6", "\n"]


def test_a_trigger_stands_around_the_questions_that_were_asked_behind_it() -> None:
    talk, echo, _ = session()
    talk.run(["/trigger on", "one", "/trigger off", "two"])
    triggered = Trigger().render("one")
    assert heard(echo.asked[1], "tuned") == [triggered, "tuned 1", "two"]


def test_again_draws_anew_and_replaces_reset_forgets() -> None:
    talk, echo, _ = session()
    talk.run(["one", "/again", "/strength 2", "two", "/reset", "three"])
    first, again, second, third = echo.asked
    assert heard(first, "tuned") == heard(again, "tuned") == ["one"]
    assert first.seed != again.seed and (again.strength, second.strength) == (1, 2)
    assert heard(second, "tuned") == ["one", "tuned 1", "two"]
    assert heard(third, "tuned") == ["three"] and third.seed == first.seed


def test_a_turn_without_an_answer_is_told_and_is_no_part_of_the_conversation() -> None:
    talk, echo, screen = session()
    first = talk.run(["one", "break", "two", "/quit", "never"])
    assert isinstance(first, ModelError) and screen.complaints == ["gone"]
    assert heard(echo.asked[-1], "tuned") == ["one", "tuned 1", "two"]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("/trigr on", "Did you mean 'trigger'"),
        ("/trigger maybe", "on or off, not 'maybe'"),
        ("/strength", "wants S behind it"),
        ("/strength nan", "is no number"),
        ("/temperature -1", "temperature = -1.0"),
        ("/max 0", "max_tokens = 0"),
        ("/max five", "no number of tokens"),
        ("/voice other", "no voice 'other'"),
        ("/quit now", "takes nothing"),
        ("/again", "Nothing was asked yet"),
        ("/save .", "is a folder"),
        ("/save nowhere/file", "can't be written"),
    ],
)
def test_what_a_command_can_not_do_is_one_line_and_changes_nothing(line: str, says: str) -> None:
    talk, _, screen = session()
    before = talk.settings
    assert talk.run([line, "go on"]) is not None
    assert len(screen.complaints) == 1 and says in screen.complaints[0]
    assert "\n" not in screen.complaints[0] and talk.settings == before
    assert screen.said == ["tuned 1", "\n"]


def test_what_was_said_is_saved_from_the_beginning_and_from_then_on(tmp_path: Path) -> None:
    talk, _, _ = session()
    path = tmp_path / "said.jsonl"
    talk.run(["one", f"/save {path}", "two", "/reset", "three"])
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(row["conversation"], row["turn"], row["answer"]) for row in rows] == [
        (0, 0, "tuned 1"), (0, 1, "tuned 3"), (1, 0, "tuned 1"),
    ]  # fmt: skip
    assert rows[1]["messages"][-1] == {"role": "user", "content": "two"}
    assert talk.run([f"/save {path}"]) is not None, "what is there is never written over"
