"""Which prompts begin alike beyond what all of them share: answers to one question. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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

    In alphabetical order a prompt has most in common with its neighbours. A group ends where a
    prompt shares less than half of what the members so far share beyond ``start``.
    """
    found: list[list[int]] = []
    prefix_lengths: list[int] = []
    for i in sorted(range(len(prompts)), key=prompts.__getitem__):
        common = _shared(prompts[found[-1][-1]], prompts[i]) if found else 0
        if common - start >= max(
            _WORTH_SHARING, (prefix_lengths[-1] - start) / 2 if prefix_lengths else 0
        ):
            prefix_lengths[-1] = common if len(found[-1]) == 1 else min(common, prefix_lengths[-1])
            found[-1].append(i)
        else:
            found.append([i])
            prefix_lengths.append(start)
    result = [
        PrefixGroup(tuple(sorted(members, key=lambda i: (-len(prompts[i]), i))), prefix)
        for members, prefix in zip(found, prefix_lengths, strict=True)
    ]
    return sorted(result, key=lambda group: (-len(prompts[group.members[0]]), group.members[0]))


def _shared(one: Sequence[int], other: Sequence[int]) -> int:
    """Return how many tokens before its last ``one`` has in common with the start of ``other``.

    A last token is computed with the options that follow it.
    """
    pairs = zip(one[:-1], other, strict=False)
    return next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(one) - 1, len(other)))
