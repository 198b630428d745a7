"""Results that come as they finish: pairs of a number and what answers the question of that number.

Who asks says which answers are owed. The others are there already: their questions take part only
where results depend on what is computed beside them, so that a resumed run repeats the batches of
an undisturbed one, but for those of which nothing is owed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

from trimtab.core.errors import JudgeError

T = TypeVar("T")

Owed = Sequence[bool] | None
"""For each question whether its answer is owed; None is all of them."""


def is_owed(owed: Owed, number: int) -> bool:
    """Return whether the answer to a question is owed."""
    return owed is None or owed[number]


def in_order(results: Iterable[tuple[int, T]], count: int) -> list[T]:
    """Return the results of ``count`` questions in the order of the questions.

    Raises:
        JudgeError: One has no result.
    """
    result_of = dict(results)
    if len(result_of) != count:
        raise JudgeError(f"{count} questions were asked, and {len(result_of)} have results.")
    return [result_of[number] for number in range(count)]
