"""What a training is: what is minimised, how and where, its batches, and how it ended."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import torch

from trimtab.core.fences import Fence, unfenced
from trimtab.core.training import Training


class Objective(Protocol):
    """What is minimised."""

    def loss(self, items: Sequence[int]) -> tuple[torch.Tensor, float]:
        """Return the sum of the items' losses (a float32 scalar) and the sum of their weights.

        The weight is what the loss is divided by over the whole batch: the number of label tokens,
        of problems, of episodes.
        """
        ...

    def state(self) -> dict[str, Any]:
        """Return what a resumed training must know beside the weights, as JSON types."""
        ...

    def restore(self, state: dict[str, Any]) -> None:
        """Take back what ``state`` gave."""
        ...


@dataclass(frozen=True)
class Outcome:
    """How a training ended; the module holds the best weights, or the last if none is best.

    Attributes:
        steps: Updates made.
        reason: Why it ended.
        best_step: Updates after which the select values were highest; None without evaluation.
        best: The first of those values.
        untrained: The first value before the first update.
        rows: ``steps.jsonl``: a row per update (loss, rate, gradient norm), per evaluation and per
            ``watch``. The loss of an update that was skipped is None.
        skipped: Updates that were skipped because a loss or a gradient was not finite.
    """

    steps: int
    reason: Literal["steps", "patience"]
    best_step: int | None
    best: float | None
    untrained: float | None
    rows: list[dict[str, Any]] = field(repr=False, default_factory=list)
    skipped: int = 0

    def looks(self) -> list[tuple[int, float | None, list[float]]]:
        """Return each look at the select split.

        Returns:
            Update, mean loss of the updates since the look before (None at the first), values.
        """
        found: list[tuple[int, float | None, list[float]]] = []
        losses: list[float] = []
        for row in self.rows:
            if "select" in row:
                mean = math.fsum(losses) / len(losses) if losses else None
                found.append((row["step"], mean, row["select"]))
                losses = []
            elif row.get("loss") is not None:
                losses.append(row["loss"])
        return found


def unheard(_: str) -> None:
    """Tell nobody."""


@dataclass(frozen=True)
class Course:
    """How and where one training runs.

    Attributes:
        settings: Steps, rates, patience.
        folder: Where checkpoints go; used by this training alone.
        seed: Everything random depends on it.
        identity: Hash of data and settings; a checkpoint with another one is refused.
        checkpoint_seconds: Time between two checkpoints; it changes no result.
        keep: Updates after which the weights are kept for good.
        fence: Called before each write to the folder; raises if another worker has taken over.
        tell: Told now and then how far the training is.
    """

    settings: Training
    folder: Path
    seed: int
    identity: str
    checkpoint_seconds: float = 30.0
    keep: frozenset[int] = frozenset()
    fence: Fence = field(default=unfenced, compare=False)
    tell: Callable[[str], None] = field(default=unheard, compare=False)


@dataclass(frozen=True)
class Batch:
    """The items of one update.

    Attributes:
        step: Updates before it.
        epoch: Passes over the data before it.
        items: Which items.
    """

    step: int
    epoch: int
    items: list[int]


class Stateless:
    """An objective's two other methods, where the step is all that must be remembered."""

    def state(self) -> dict[str, Any]:
        """Nothing to remember."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Nothing to take back."""
