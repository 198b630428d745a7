"""A conversation: lines in, answers out, and a record of both."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from trimtab.chat.commands import COMMANDS, Known, Settings, help_lines, parsed, path_of, shown
from trimtab.chat.partner import Answer, Asked, Messages, Partner
from trimtab.chat.transcript import Transcript
from trimtab.core.errors import ConfigError, TrimtabError
from trimtab.core.keys import derive_seed
from trimtab.core.trigger import Trigger
from trimtab.core.types import Message


@dataclass
class Turn:
    """What was asked, as the model reads it, and each voice's answer."""

    asked: str
    answers: dict[str, Answer] = field(default_factory=dict)
    tries: int = 0


@dataclass(frozen=True)
class Output:
    """Where a session writes: pieces of answers, whole lines, complaints."""

    piece: Callable[[str], None]
    line: Callable[[str], None]
    complaint: Callable[[TrimtabError], None]


class Session:
    """One conversation after another with a partner."""

    def __init__(
        self,
        partner: Partner,
        settings: Settings,
        output: Output,
        trigger: Trigger | None = None,
        save: Path | None = None,
    ) -> None:
        """Begin.

        Raises:
            ConfigError: The settings ask for a trigger that is not there.
            StoreError: ``save`` can't be written.
        """
        self._partner, self._output, self._trigger = partner, output, trigger
        self._known = Known(partner.voices, trigger)
        if settings.triggered and trigger is None:
            raise ConfigError(
                "There is no trigger to ask with.", hint="Give --run of a run that has one."
            )
        self.settings = settings
        self._turns: list[Turn] = []
        self._transcript = Transcript(partner.identity)
        if save is not None:
            self._transcript.save(save)

    def run(self, lines: Iterable[str]) -> TrimtabError | None:
        """Answer every line up to /quit or the end; return the first error that was told."""
        first: TrimtabError | None = None
        for line in lines:
            try:
                if not self._take(line.rstrip("\n")):
                    break
            except TrimtabError as error:
                first = first or error
                self._output.complaint(error)
        return first

    def _take(self, line: str) -> bool:
        """Do what a line says; return whether the session goes on."""
        if not line.startswith("/"):
            if line.strip():
                self._ask(line.strip())
            return True
        name, rest = parsed(line)
        change = COMMANDS[name].change
        if change is not None:
            self.settings = change(self.settings, self._known, rest)
            return True
        if name == "quit":
            return False
        actions: dict[str, Callable[[], None]] = {
            "again": self._again,
            "reset": self._reset,
            "save": lambda: self._transcript.save(path_of(rest)),
            "settings": lambda: self._tell(shown(self.settings)),
            "help": lambda: self._tell(help_lines()),
        }
        actions[name]()
        return True

    def _ask(self, question: str) -> None:
        use = self._trigger if self.settings.triggered else None
        self._answer(Turn(question if use is None else use.render(question)))

    def _again(self) -> None:
        if not self._turns:
            raise ConfigError("Nothing was asked yet.")
        last = self._turns.pop()
        try:
            self._answer(Turn(last.asked, tries=last.tries + 1))
        except BaseException:
            self._turns.append(last)
            raise

    def _answer(self, turn: Turn) -> None:
        """Ask the voices; a turn that fails is no part of the conversation."""
        settings = self.settings
        asked = Asked(
            {voice: self._heard(voice, turn.asked) for voice in settings.voices},
            settings.sampling,
            derive_seed(settings.seed, len(self._turns), turn.tries),
            settings.strength,
        )
        several = len(settings.voices) > 1
        began = False

        def say(piece: str) -> None:
            nonlocal began
            began = True
            self._output.piece(piece)

        try:
            found = dict(self._partner.answers(asked, say))
        finally:
            if began:
                self._output.piece("\n")
        turn.answers = {voice: found[voice] for voice in settings.voices}
        for voice, answer in turn.answers.items():
            if several or not began:
                self._output.line(f"{voice}: {answer.text}" if several else answer.text)
            self._transcript.add(
                len(self._turns), turn.tries, voice, asked.messages[voice], answer, settings
            )
        self._turns.append(turn)

    def _heard(self, voice: str, question: str) -> Messages:
        return tuple(self._messages(voice, question))

    def _messages(self, voice: str, question: str) -> Iterator[Message]:
        """Yield what a voice has heard: its own answers, and others' where it gave none."""
        if self.settings.system:
            yield Message(role="system", content=self.settings.system)
        for turn in self._turns:
            answer = turn.answers.get(voice) or next(iter(turn.answers.values()))
            yield Message(role="user", content=turn.asked)
            yield Message(role="assistant", content=answer.text)
        yield Message(role="user", content=question)

    def _reset(self) -> None:
        self._turns = []
        self._transcript.begin()

    def _tell(self, lines: Iterable[str]) -> None:
        for line in lines:
            self._output.line(line)
