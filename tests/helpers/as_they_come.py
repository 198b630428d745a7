"""Results that come as they finish, in the order of what was asked."""

from collections.abc import Iterable
from typing import TypeVar

T = TypeVar("T")


def listed(results: Iterable[tuple[int, T]]) -> list[T]:
    """Return the results by their numbers, which they may lack some of."""
    return [value for _, value in sorted(results, key=lambda result: result[0])]
