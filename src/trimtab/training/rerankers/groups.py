"""Labelled candidates of one problem, and the losses that rank them.

Energies are lower for better candidates. Every loss compares candidates of the same problem only,
so a problem whose candidates are all right or all wrong teaches nothing: it is dropped and counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch.nn import functional as F  # everyone's name for it

LossName = Literal["pairs", "listwise", "mse"]


@dataclass(frozen=True)
class Group:
    """One problem with its candidates.

    Attributes:
        problem: The question.
        texts: The candidates.
        correct: Whether each is right.
    """

    problem: str
    texts: tuple[str, ...]
    correct: tuple[bool, ...]

    @property
    def mixed(self) -> bool:
        """Whether there are right and wrong candidates."""
        return any(self.correct) and not all(self.correct)


@dataclass(frozen=True)
class Usable:
    """Groups with both classes, and how many had only one.

    Attributes:
        groups: Those that can be ranked.
        all_right: Problems dropped because every candidate is right.
        all_wrong: Problems dropped because none is, or there is no candidate.
    """

    groups: list[Group]
    all_right: int
    all_wrong: int


def usable(groups: Iterable[Group]) -> Usable:
    """Drop groups without both classes, and count them."""
    found = list(groups)
    mixed = [group for group in found if group.mixed]
    all_right = sum(bool(group.correct) and all(group.correct) for group in found)
    return Usable(mixed, all_right, len(found) - len(mixed) - all_right)


def pairs_loss(energy_K: torch.Tensor, correct_K: torch.Tensor) -> torch.Tensor:
    """Return the mean over (right, wrong) pairs of ``softplus(E_right - E_wrong)``.

    Group Bradley-Terry, as in EORM (arXiv 2505.14999).
    """
    return F.softplus(energy_K[correct_K][:, None] - energy_K[~correct_K][None, :]).mean()


def listwise_loss(energy_K: torch.Tensor, correct_K: torch.Tensor) -> torch.Tensor:
    """Return ``-log`` of the mass that ``softmax(-E)`` puts on the right candidates."""
    return torch.logsumexp(-energy_K, 0) - torch.logsumexp(-energy_K[correct_K], 0)


def mse_loss(energy_K: torch.Tensor, correct_K: torch.Tensor) -> torch.Tensor:
    """Return the squared distance of ``sigmoid(E)`` to 0 for right and 1 for wrong candidates.

    Each class counts one half, which is the mean over all (right, wrong) pairs: the loss that the
    ``ouroboros`` reranker was published with.
    """
    squared_K = (torch.sigmoid(energy_K) - (~correct_K).float()).square()
    return (squared_K[correct_K].mean() + squared_K[~correct_K].mean()) / 2


LOSSES: dict[LossName, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "pairs": pairs_loss,
    "listwise": listwise_loss,
    "mse": mse_loss,
}


def pair_accuracy(
    energies: Sequence[Sequence[float]], groups: Sequence[Group]
) -> tuple[float | None, int]:
    """Return the share of (right, wrong) pairs of one problem that are ordered right, and how many.

    A tie counts one half, and each pair counts the same. None where there is no pair.
    """
    wins, count = 0.0, 0
    for values, group in zip(energies, groups, strict=True):
        right = [e for e, good in zip(values, group.correct, strict=True) if good]
        wrong = [e for e, good in zip(values, group.correct, strict=True) if not good]
        wins += sum((a < b) + 0.5 * (a == b) for a in right for b in wrong)
        count += len(right) * len(wrong)
    return (wins / count if count else None), count
