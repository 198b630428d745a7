"""Whether a judge that fails some prompts still works: what is owed, what is final, when to stop.

Prompts that an endpoint rejects, or whose reply lacks what was asked for, are held back: alone they
say as little about the prompt as an outage does. They are final once the endpoint has answered
another prompt, and never while it fails one prompt after the other.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from trimtab.core.errors import JudgeError, UnansweredError

IN_A_ROW = 5
"""So many prompts without an answer, one after the other, stop a judge."""


@dataclass
class Standing:
    """What came of the prompts of one judge, in the order in which they were asked.

    Attributes:
        answers: Whether the endpoint has ever answered a prompt of this judge.
        held: Keys of the prompts that have no answer, and need none if the judge works.
    """

    answers: bool = False
    held: list[str] = field(default_factory=list)
    _unsure: dict[str, str] = field(default_factory=dict)
    _owed: list[str] = field(default_factory=list)
    _asked: int = 0
    _bad: set[int] = field(default_factory=set)
    _before: int = 0

    def begin(self, num_asked: int, answers: bool) -> None:
        """Begin a batch; prompts without an answer at the end of the last one count on."""
        run = self._run_at(self._asked - 1)
        self._before = run + (self._before if run == self._asked else 0)
        self.answers = self.answers or answers
        self.held, self._unsure, self._owed, self._bad = [], {}, [], set()
        self._asked = num_asked

    def answered(self) -> None:
        """Note that a prompt has an answer."""
        self.answers = True

    def fail(self, number: int, why: str) -> None:
        """Note that a prompt is owed after all tries; raise JudgeError if it is one too many."""
        self._owed.append(why)
        self._count(number, why)

    def hold(self, key: str, number: int | None, why: str, *, about_prompt: bool = False) -> None:
        """Note that a prompt has no answer, for its own sake or perhaps not; raise as ``fail``.

        ``number`` is its place in the batch; None if it was asked before.
        """
        if about_prompt:
            self.held.append(key)
        else:
            self._unsure[key] = why
        if number is not None and not (about_prompt and self.answers):
            self._count(number, why)

    def end(self) -> None:
        """Decide on what was held back: it is final, or owed."""
        if self.answers:
            self.held += self._unsure
        else:
            self._owed += self._unsure.values()

    def raise_owed(self) -> None:
        """Raise UnansweredError if prompts of the batch are owed."""
        if self._owed:
            raise UnansweredError(
                f"No answer to {len(self._owed)} of {self._asked} prompts, which stay owed. "
                f"{self._owed[-1]}"
            )

    def _count(self, number: int, why: str) -> None:
        self._bad.add(number)
        last = number
        while last + 1 in self._bad:
            last += 1
        run = self._run_at(last)
        run += self._before if run == last + 1 else 0
        if run >= IN_A_ROW:
            raise JudgeError(
                f"{run} prompts in a row have no answer. {why}",
                hint="They are owed. Score again when the cause is mended.",
            )

    def _run_at(self, last: int) -> int:
        """Return how many prompts up to ``last`` have no answer, one after the other."""
        number = last
        while number in self._bad:
            number -= 1
        return last - number
