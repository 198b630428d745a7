"""The order task: only the order of two words decides which candidate is right."""

import random
from collections.abc import Callable

import pytest

from trimtab.training.rerankers.groups import Group

_ANIMALS = ["ant", "bee", "cat", "dog", "elk", "fox", "gnu", "hen"]

Order = Callable[..., list[Group]]


@pytest.fixture(scope="session")
def order() -> Order:
    """Return a maker of groups: "take a from b" is "b - a" and not "a - b"."""
    cases = [(a, b, n) for a in _ANIMALS for b in _ANIMALS if a != b for n in range(100)]
    random.Random(0).shuffle(cases)

    def make(start: int, stop: int) -> list[Group]:
        return [
            Group(f"Case {n}: take {a} from {b}.", (f"{b} - {a}", f"{a} - {b}"), (True, False))
            for a, b, n in cases[start:stop]
        ]

    return make
