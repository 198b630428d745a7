"""A chat model, a sentence encoder and a reranker that say what they were told: for tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from trimtab.core.errors import JudgeError
from trimtab.core.streams import Owed, in_order, is_owed
from trimtab.core.types import Message
from trimtab.text.verdicts import Verdict, parse_yes_no

Reply = str | float | None
Script = Mapping[str, Reply] | Callable[[tuple[Message, ...]], Reply] | Sequence[Reply]


class ScriptedChat:
    """Answers from a script, always in the same way.

    A reply is a text, or a number that stands for P(yes), or None for no answer. A number is asked
    as a text "yes" or "no"; a text is asked as a probability 1, 0 or None.

    Attributes:
        identity: Name that goes into a judge's key.
        seen: Every prompt so far, in the order in which it was asked.
    """

    def __init__(self, replies: Script, identity: str = "scripted") -> None:
        """Keep the script.

        Args:
            replies: A mapping gives the reply of its first key that occurs in the last message,
                and None where there is none; a function gets the whole prompt; a sequence is read
                once from front to back, over all calls.
            identity: Name that goes into a judge's key.
        """
        self.identity = identity
        self.seen: list[tuple[Message, ...]] = []
        self._replies = replies

    def yes_probabilities(
        self, prompts: Sequence[tuple[Message, ...]], owed: Owed = None
    ) -> Iterator[tuple[int, float | None]]:
        """Yield each reply as P(yes); None where it is neither a number nor a clear verdict."""
        for number, reply in self._replies_to(prompts, owed):
            yield number, _as_probability(reply)

    def next_probabilities(
        self,
        prompts: Sequence[str],
        word: str,  # noqa: ARG002
        owed: Owed = None,
    ) -> Iterator[tuple[int, float | None]]:
        """Yield each reply as P(yes); the script sees a text as one user turn."""
        turns = [(Message(role="user", content=each),) for each in prompts]
        return self.yes_probabilities(turns, owed)

    def complete(
        self,
        prompts: Sequence[tuple[Message, ...]],
        max_tokens: int,  # noqa: ARG002
        owed: Owed = None,
    ) -> Iterator[tuple[int, str | None]]:
        """Yield each reply as a text; it is never cut."""
        for number, reply in self._replies_to(prompts, owed):
            yield number, _as_text(reply)

    def _replies_to(
        self, prompts: Sequence[tuple[Message, ...]], owed: Owed
    ) -> Iterator[tuple[int, Reply]]:
        for number, prompt in enumerate(prompts):
            if is_owed(owed, number):
                yield number, self._reply(prompt)

    def _reply(self, prompt: tuple[Message, ...]) -> Reply:
        self.seen.append(prompt)
        if callable(self._replies):
            return self._replies(prompt)
        if isinstance(self._replies, Mapping):
            last = prompt[-1].content
            return next((reply for key, reply in self._replies.items() if key in last), None)
        if len(self.seen) > len(self._replies):
            raise JudgeError(
                f"The script has {len(self._replies)} replies and was asked for one more."
            )
        return self._replies[len(self.seen) - 1]


class ScriptedEmbedder:
    """Gives the similarity that a function of two texts says.

    Attributes:
        identity: Name that goes into a judge's key.
    """

    def __init__(self, similarity: Callable[[str, str], float], identity: str = "scripted") -> None:
        """Keep the function."""
        self.identity = identity
        self._similarity = similarity

    def similarity(self, left: list[str], right: list[str]) -> list[float]:
        """Return the function's value for each pair."""
        return [self._similarity(a, b) for a, b in zip(left, right, strict=True)]


class ScriptedEnergy:
    """Gives the energy that a function of problem and text says.

    Attributes:
        identity: Name that goes into messages.
    """

    def __init__(self, energy: Callable[[str, str], float], identity: str = "scripted") -> None:
        """Keep the function."""
        self.identity = identity
        self._energy = energy

    def energies(
        self, pairs: Sequence[tuple[str, str]], owed: Owed = None
    ) -> Iterator[tuple[int, float]]:
        """Yield the function's value for each pair."""
        for number, (problem, text) in enumerate(pairs):
            if is_owed(owed, number):
                yield number, self._energy(problem, text)

    def score(self, problem: str, texts: Sequence[str]) -> list[float]:
        """Return the function's value for each text."""
        return in_order(self.energies([(problem, text) for text in texts]), len(texts))


def _as_probability(reply: Reply) -> float | None:
    if not isinstance(reply, str):
        return reply
    return {Verdict.YES: 1.0, Verdict.NO: 0.0}.get(parse_yes_no(reply))


def _as_text(reply: Reply) -> str | None:
    return reply if reply is None or isinstance(reply, str) else "yes" if reply > 0.5 else "no"
