"""A reference solution with a wrong number in it: the negative of a contrast pair on reasoning.

One result is changed by a digit, and all that follows from it with it, up to the final answer; so
the wrong solution has the form, the words and about the length of the right one. Which result, and
which digit, is drawn by hashing, so that it is the same on every machine.
"""

from __future__ import annotations

from collections.abc import Iterator

from trimtab.core.keys import content_key
from trimtab.datasets.problems import Problem
from trimtab.text.answers import EXTRACTORS, chat, is_correct
from trimtab.text.calculations import Number, Working
from trimtab.text.tolerance import Tolerance


def corrupted(problem: Problem, seed: int = 0, tolerance: Tolerance | None = None) -> str | None:
    """Return the solution of ``problem`` with a wrong number; None if none of them will do.

    Args:
        problem: The problem, whose solution may be worked steps or a number alone.
        seed: Another seed makes another mistake.
        tolerance: How far an answer may be off and still be right.
    """
    working = Working(problem.solution, problem.question)
    drawn = content_key(["corrupted", seed, problem.question, problem.solution])
    for i in sorted(working.results(), key=lambda i: content_key([drawn, i])):
        for digits in _misspelled(working.numbers[i], drawn):
            text = working.following(i, digits)
            if text is not None and is_wrong(text, problem.final, tolerance):
                return text
    for digits in _misspelled(working.numbers[-1], drawn) if working.numbers else ():
        text = working.ending_in(digits)
        if text is not None and is_wrong(text, problem.final, tolerance):
            return text
    return None


def is_right(text: str, final: str, tolerance: Tolerance | None = None) -> bool:
    """Return whether a solution ends in ``final``, read as chat models write it."""
    return is_correct("chat", chat(text).answer, final, tolerance)


def is_wrong(text: str, final: str, tolerance: Tolerance | None = None) -> bool:
    """Return whether a solution has an answer, and it is wrong by every extractor."""
    return chat(text).answer is not None and not any(
        is_correct(name, extract(text).answer, final, tolerance)
        for name, extract in EXTRACTORS.items()
    )


def _misspelled(number: Number, drawn: str) -> Iterator[str]:
    """Yield the number with another digit in one place, in a drawn order; it stays as long."""
    text = number.text
    places = [i for i, char in enumerate(text) if char.isdigit()]
    if text.startswith("0.") and number.value:
        places = places[1:]
    others = [(i, digit) for i in places for digit in "0123456789" if digit != text[i]]
    for i, digit in sorted(others, key=lambda other: content_key([drawn, number.start, *other])):
        changed = f"{text[:i]}{digit}{text[i + 1 :]}"
        # no zero in front, and no number that is nothing
        if (digit == "0" and i == 0 and len(text) > 1) or not changed.strip("0.,"):
            continue
        yield changed
