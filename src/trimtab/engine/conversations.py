"""What was computed of texts, kept for the prompts that go on where they end.

A conversation of several turns is asked for turn by turn, and the prompt of each begins with the
prompt before it and what was written there. Requests that name the same ``Conversations`` read
those tokens once. Which tokens they have in common is looked up, so prompts say what they would say
anyway, and a text is what it would be if its whole prompt had been read, up to the last bits.

Shapes: S tokens, K key/value heads, D head dimension.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from trimtab.models.lowrank import Adapter


@dataclass(frozen=True, eq=False)
class Turn:
    """A prompt and what was written after it.

    Attributes:
        tokens: Those that were computed: all but the last one.
        pairs: Their keys and values in each block, [K, S, D] each.
    """

    tokens: tuple[int, ...]
    pairs: tuple[tuple[torch.Tensor, torch.Tensor], ...]


class Conversations:
    """Turns that were written, by the adapter that wrote them.

    They are right for as long as the weights of the model and of the adapters are what they were,
    and take the memory of their keys and values.
    """

    def __init__(self) -> None:
        """Keep nothing yet."""
        self._turns: dict[Hashable, list[Turn]] = {}

    def __reduce__(self) -> Any:
        """Give another process an empty one, which has a use of its own there."""
        return Conversations, ()

    def keep(self, adapter: Adapter | None, turn: Turn) -> None:
        """Keep a turn that was written with an adapter, or without one."""
        self._turns.setdefault(_key(adapter), []).append(turn)

    def find(self, adapter: Adapter | None, prompt: Sequence[int]) -> tuple[Turn | None, int]:
        """Return the turn that has most in common with the start of a prompt, and how much.

        The last token of the prompt is none of it: what it makes of the rest chooses the next one.
        """
        best: tuple[Turn | None, int] = (None, 0)
        for turn in self._turns.get(_key(adapter), ()):
            count = _common(turn.tokens, prompt[:-1])
            if count > best[1]:
                best = turn, count
        return best


def _key(adapter: Adapter | None) -> Hashable:
    return None if adapter is None else adapter.key


def _common(one: Sequence[int], other: Sequence[int]) -> int:
    """Return how many tokens at the start of both are the same."""
    pairs = zip(one, other, strict=False)
    return next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))
