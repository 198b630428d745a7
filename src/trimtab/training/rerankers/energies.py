"""Energy models of every kind, behind one interface: ``energies(pairs)``, lower is better.

A kind prepares pairs (token ids, hidden states, counts) and turns prepared pairs into a tensor of
energies; training and scoring share both. Scoring sorts by length and pads within a batch only, so
an energy changes by no more than rounding with what it is scored beside.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import nn

from trimtab.core.errors import NonFiniteError
from trimtab.core.streams import Owed, in_order, is_owed

PairText = tuple[str, str]
# Tokens per batch, padding included. Larger ones leave a core's cache: 8192 take 1.4 times as long.
_CPU_BATCH_TOKENS = 2048
_BATCH_TOKENS = 16384


class EnergyModel(ABC):
    """Implements ``core.types.Energy``.

    Attributes:
        kind: Name of the kind.
        module: What is trained.
        identity: Kind and hash; set when the model is complete.
        cut: Pairs so far that did not fit whole.
        others: Problems that may stand in for another, when what a question adds is measured.
    """

    kind: str
    module: nn.Module

    def __init__(self) -> None:
        """Start unnamed."""
        self.identity = self.kind
        self.cut = 0
        self.others: Sequence[str] = ()

    @abstractmethod
    def prepare(self, pairs: Sequence[PairText]) -> list[Any]:
        """Return what ``forward`` needs of each pair."""

    @abstractmethod
    def forward(self, prepared: Sequence[Any]) -> torch.Tensor:
        """Return the energies [B] of prepared pairs, with gradients where they are asked for."""

    def lengths(self, prepared: Sequence[Any]) -> list[int]:
        """Return the tokens that ``forward`` computes for each prepared pair."""
        return [1] * len(prepared)

    def energies(self, pairs: Sequence[PairText], owed: Owed = None) -> Iterator[tuple[int, float]]:
        """Yield the energy of each (problem, text), batch by batch; equal pairs are computed once.

        Raises:
            NonFiniteError: An energy is NaN or infinite.
        """
        distinct = Distinct(pairs, owed)
        yield from distinct.each(self._batches(self.prepare(distinct.pairs), distinct.owed))

    def score(self, problem: str, texts: Sequence[str]) -> list[float]:
        """Return the energy of each text as an answer to ``problem``."""
        return in_order(self.energies([(problem, text) for text in texts]), len(texts))

    def of_prepared(self, prepared: Sequence[Any]) -> list[float]:
        """Return the energies of prepared pairs, in batches of like lengths."""
        return in_order(self._batches(prepared, None), len(prepared))

    def _batches(self, prepared: Sequence[Any], owed: Owed) -> Iterator[tuple[int, float]]:
        """Yield energies with their numbers; batches of which none is owed are left out."""
        self.module.eval()
        for batch in by_length(self.lengths(prepared), next(self.module.parameters()).device):
            if any(is_owed(owed, i) for i in batch):
                with torch.no_grad():
                    energy_B = self.forward([prepared[i] for i in batch]).cpu().double()
                values = energy_B.tolist()
                if not all(map(math.isfinite, values)):
                    raise NonFiniteError(
                        f"The energy model {self.identity} gives an energy that is not finite.",
                        hint="Train it in float32, with a lower learning_rate.",
                    )
                yield from zip(batch, values, strict=True)


class Distinct:
    """The different ones among pairs, and which of them are owed.

    Attributes:
        pairs: They, in the order of their first occurrence.
        owed: Whether any of the pairs that are equal to each is owed.
    """

    def __init__(self, pairs: Sequence[PairText], owed: Owed) -> None:
        """Number ``pairs``."""
        self._numbers: dict[PairText, list[int]] = {}
        for number, pair in enumerate(pairs):
            numbers = self._numbers.setdefault(pair, [])
            if is_owed(owed, number):
                numbers.append(number)
        self.pairs = list(self._numbers)
        self.owed = [bool(numbers) for numbers in self._numbers.values()]

    def each(self, results: Iterable[tuple[int, float]]) -> Iterator[tuple[int, float]]:
        """Yield the values of different pairs as those of all owed pairs that are equal to them."""
        for i, value in results:
            yield from ((number, value) for number in self._numbers[self.pairs[i]])


def by_length(lengths: Sequence[int], device: torch.device) -> list[list[int]]:
    """Cut rows, longest first, into batches of as many tokens, with padding, as suit ``device``."""
    most = _CPU_BATCH_TOKENS if device.type == "cpu" else _BATCH_TOKENS
    order = sorted(range(len(lengths)), key=lambda i: (-lengths[i], i))
    batches: list[list[int]] = []
    for i in order:
        if not batches or (len(batches[-1]) + 1) * lengths[batches[-1][0]] > most:
            batches.append([])
        batches[-1].append(i)
    return batches


def padded(rows: Sequence[Sequence[int]], device: torch.device) -> torch.Tensor:
    """Return token ids [B, T], padded with 0 on the right."""
    width = max(map(len, rows))
    return torch.tensor([[*row, *[0] * (width - len(row))] for row in rows], device=device)
