"""Which prompts begin alike beyond what all of them share: answers to one question. No torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

_WORTH_SHARING = 16
"""Tokens beyond the common start of all; for fewer, a pass more costs what it saves."""


@dataclass(frozen=True)
class PrefixGroup:
    """Prompts that begin alike.

    Attributes:
        members: Their indices, the longest first.
        prefix: Tokens at the start of all of them that are computed once. Never a whole prompt.
    """

    members: tuple[int, ...]
    prefix: int


def prefix_groups(prompts: Sequence[tuple[int, ...]], start: int) -> list[PrefixGroup]:
    """Divide prompts that all begin with the same ``start`` tokens; the longest groups first.

    In alphabetical order a prompt has most in common with its neighbours, so a group is a stretch
    of that order. Groups are those that save most: see ``_stretches``.
    """
    order = sorted(range(len(prompts)), key=prompts.__getitem__)
    shared = [_shared(prompts[one], prompts[other]) - start for one, other in pairwise(order)]
    result = []
    for first, last in _stretches(np.array(shared, dtype=np.int64)) if prompts else ():
        members = sorted(order[first : last + 1], key=lambda i: (-len(prompts[i]), i))
        common = min(shared[first:last], default=0)
        result.append(PrefixGroup(tuple(members), start + common))
    return sorted(result, key=lambda group: (-len(prompts[group.members[0]]), group.members[0]))


def _stretches(shared: npt.NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Yield the stretches, first and last prompt, that save most in all; the last ones first.

    A stretch saves its shared tokens for each prompt but one, less what a pass more costs.

    Args:
        shared: Tokens beyond the start that each prompt shares with the next one.
    """
    count = len(shared) + 1
    # what the first so many prompts save at most
    most = np.zeros(count + 1, dtype=np.int64)
    # first prompt of the stretch that ends at each, if the prompts end there
    begin = np.arange(count)
    # tokens that all from each prompt to the last one share
    common = np.zeros(count, dtype=np.int64)
    for last in range(1, count):
        common[last - 1] = shared[last - 1]
        np.minimum(common[:last], shared[last - 1], out=common[:last])
        saved = (last - np.arange(last)) * common[:last] - _WORTH_SHARING
        total = np.where(common[:last] < _WORTH_SHARING, -1, most[:last] + saved)
        first = int(total.argmax())
        alone = most[last]
        begin[last] = first if total[first] > alone else last
        most[last + 1] = max(total[first], alone)
    while count:
        first = int(begin[count - 1])
        yield first, count - 1
        count = first


def _shared(one: Sequence[int], other: Sequence[int]) -> int:
    """Return how many tokens before its last ``one`` has in common with the start of ``other``.

    A last token is computed with the options that follow it.
    """
    pairs = zip(one[:-1], other, strict=False)
    return next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(one) - 1, len(other)))
