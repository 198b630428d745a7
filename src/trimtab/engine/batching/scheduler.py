"""What runs when: similar lengths together, equal prompts side by side, rows refilled. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_ENTER_WHEN_FREE = 1 / 8
_LEAVE_WHEN_FREE = 1 / 4
_FEWEST_ROWS = 16


@dataclass(frozen=True)
class Limits:
    """How much runs at a time. Results depend on it in the last bits only.

    Attributes:
        rows: Rows that write together.
        tokens: Tokens of prompts, answers or options computed together.
    """

    rows: int
    tokens: int


class Ladder:
    """How far limits were lowered when memory ran out, for each kind of work and length."""

    def __init__(self, limits: Limits) -> None:
        """Start at ``limits``."""
        self._limits = limits
        self._rungs: dict[tuple[str, int], int] = {}

    def limits(self, kind: str, length: int) -> Limits:
        """Return the limits for rows of up to ``length`` tokens: halved once per rung."""
        share = 2 ** self._rungs.get((kind, length.bit_length()), 0)
        return Limits(max(1, self._limits.rows // share), max(1, self._limits.tokens // share))

    def lower(self, kind: str, length: int) -> bool:
        """Halve the limits for such rows from now on; return whether there was anything left."""
        now = self.limits(kind, length)
        key = (kind, length.bit_length())
        self._rungs[key] = self._rungs.get(key, 0) + 1
        return now.rows > 1 or now.tokens > 1


@dataclass(frozen=True)
class Load:
    """What one request needs.

    Attributes:
        prompt: Its token ids.
        num_tokens: Tokens computed beyond the prompt, all branches together.
        owner: Number of its adapter. Rows of one adapter stand together: what it adds is then one
            product on tokens that lie side by side, and few adapters are in a batch at a time.
    """

    prompt: tuple[int, ...]
    num_tokens: int
    owner: int = 0


def order(loads: Sequence[Load]) -> list[int]:
    """Return the indices of ``loads``: of each owner longest prompts first, equal ones together."""

    def place(i: int) -> tuple[int, int, tuple[int, ...], int]:
        return loads[i].owner, -len(loads[i].prompt), loads[i].prompt, i

    return sorted(range(len(loads)), key=place)


def batches(loads: Sequence[Load], most_tokens: int) -> list[list[int]]:
    """Return the indices of ``loads`` in ``order``, cut into batches.

    A batch holds at most ``most_tokens`` tokens, equal prompts counted once, but always at least
    one request.
    """
    result: list[list[int]] = []
    tokens = 0
    last: tuple[int, ...] | None = None
    for index in order(loads):
        load = loads[index]
        new = load.num_tokens + (0 if load.prompt == last else len(load.prompt))
        if not result or tokens + new > most_tokens:
            result.append([])
            tokens, new = 0, load.num_tokens + len(load.prompt)
        result[-1].append(index)
        tokens, last = tokens + new, load.prompt
    return result


def divide(loads: Sequence[Load], num_shares: int) -> list[list[int]]:
    """Return the indices of ``loads`` in at most ``num_shares`` shares of about equal work.

    Equal prompts stay together unless they are more than one share's work. The order within a
    share is that of ``loads``.
    """
    groups: dict[tuple[int, ...], list[int]] = {}
    for index, load in enumerate(loads):
        groups.setdefault(load.prompt, []).append(index)
    most = -(-len(loads) // max(1, num_shares))
    shares: list[list[int]] = [[] for _ in range(max(1, num_shares))]
    done = [0] * len(shares)
    for prompt, group in groups.items():
        for at in range(0, len(group), most):
            piece = group[at : at + most]
            lightest = done.index(min(done))
            shares[lightest] += piece
            done[lightest] += len(prompt) + sum(loads[i].num_tokens for i in piece)
    return [sorted(share) for share in shares if share]


def entering(num_free: int, num_rows: int) -> bool:
    """Whether waiting rows shall enter now: a few at a time, for a prompt pass has its cost."""
    return num_free >= max(1, num_rows * _ENTER_WHEN_FREE)


def leaving(num_free: int, num_rows: int) -> bool:
    """Whether finished rows shall be dropped from the batch: it costs a copy of its caches."""
    return num_free >= num_rows * _LEAVE_WHEN_FREE


def rung(number: int, least: int = 1) -> int:
    """Return the first of ``least`` x 1, 1.5, 2, 3, 4, 6, 8 ... that is not below ``number``."""
    size = least
    while size < number:
        half = size + size // 2
        size = half if half >= number else 2 * size
    return size


def halved(num_alive: int, num_rows: int) -> int:
    """Return with how many rows a batch of fixed shape goes on when no row is waiting."""
    while num_rows > _FEWEST_ROWS and 2 * num_alive <= num_rows:
        num_rows = -(-num_rows // 2)
    return num_rows
