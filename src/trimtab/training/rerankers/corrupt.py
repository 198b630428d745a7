"""Synthetic wrong answers: gold solutions whose final number is far off.

A published reranker was trained on these alone. It told them from gold solutions almost always and
ranked sampled answers no better than chance, because samples go wrong in other places: kept here to
show that, not to train on.
"""

from __future__ import annotations

import random
import re

from trimtab.core.errors import DataError
from trimtab.core.keys import derive_seed
from trimtab.training.rerankers.groups import Group

_NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?")


def corrupted(problem: str, solution: str, seed: int = 0) -> Group:
    """Return a gold solution and a copy whose last number is off by more than half of itself.

    Raises:
        DataError: The solution holds no number.
    """
    found = list(_NUMBER.finditer(solution))
    if not found:
        raise DataError(f"The gold solution of {problem[:60]!r} holds no number to corrupt.")
    last = found[-1]
    value = float(last[0].replace(",", ""))
    drawn = random.Random(derive_seed(seed, problem, solution))
    size = abs(value)
    off = round(drawn.uniform(0.5 * size + 5, 3 * size + 50)) * drawn.choice((1, -1))
    # A negative answer would give the corruption away where the right one is positive.
    wrong = value + (abs(off) if value >= 0 and value + off < 0 else off)
    written = f"{wrong:.0f}" if value.is_integer() else f"{wrong:.2f}"
    text = solution[: last.start()] + written + solution[last.end() :]
    return Group(problem, (solution, text), (True, False))
