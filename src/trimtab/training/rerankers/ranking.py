"""Train an energy model to rank the candidates of each problem."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from trimtab.core.streams import in_order
from trimtab.training.course import Course, Outcome, Stateless
from trimtab.training.loop import Loop
from trimtab.training.rerankers.energies import EnergyModel
from trimtab.training.rerankers.groups import LOSSES, Group, LossName, pair_accuracy


@dataclass(frozen=True)
class Prepared:
    """Groups, and what an energy model needs of each of their candidates.

    Attributes:
        groups: The groups.
        each: Prepared candidates of each group, in order.
    """

    groups: Sequence[Group]
    each: list[list[Any]]

    @classmethod
    def of(cls, groups: Sequence[Group], flat: Sequence[Any]) -> Prepared:
        """Deal prepared candidates out to their groups."""
        left = iter(flat)
        return cls(groups, [[next(left) for _ in group.texts] for group in groups])

    @classmethod
    def by(cls, model: EnergyModel, groups: Sequence[Group]) -> Prepared:
        """Let ``model`` prepare all candidates."""
        return cls.of(groups, model.prepare(_pairs(groups)))

    @property
    def flat(self) -> list[Any]:
        """The prepared candidates of all groups."""
        return [one for some in self.each for one in some]


def rank(
    model: EnergyModel,
    fit: Prepared,
    select: Prepared,
    course: Course,
    *,
    loss: LossName,
    most: int | None,
) -> Outcome:
    """Train ``model`` on ``fit``; it ends with the weights that order ``select``'s pairs best.

    Small select splits tie often, and untrained weights may order one by luck: among equals the
    lowest loss wins.
    """

    def evaluate() -> tuple[float, float]:
        energies = _dealt(model, select)
        accuracy, _ = pair_accuracy(energies, select.groups)
        assert accuracy is not None, "groups have both classes"
        losses = [
            LOSSES[loss](torch.tensor(values, dtype=torch.float64), torch.tensor(group.correct))
            for values, group in zip(energies, select.groups, strict=True)
        ]
        return accuracy, -float(torch.stack(losses).mean())

    objective = _Ranking(model, fit, loss, most)
    return Loop(model.module, objective, course, num_items=len(fit.groups), evaluate=evaluate).run()


def of_groups(model: EnergyModel, groups: Sequence[Group]) -> list[list[float]]:
    """Return the energies of each group's candidates."""
    pairs = _pairs(groups)
    return Prepared.of(groups, in_order(model.energies(pairs), len(pairs))).each


def mine(groups: Sequence[Group], energies: Sequence[Sequence[float]], count: int) -> list[Group]:
    """Return the groups with all right candidates and the ``count`` wrong ones of lowest energy."""
    found = []
    for group, values in zip(groups, energies, strict=True):
        wrong = [i for i, right in enumerate(group.correct) if not right]
        hard = set(sorted(wrong, key=lambda i: values[i])[:count])
        kept = [i for i, right in enumerate(group.correct) if right or i in hard]
        texts = tuple(group.texts[i] for i in kept)
        found.append(Group(group.problem, texts, tuple(group.correct[i] for i in kept)))
    return found


class _Ranking(Stateless):
    """The objective: the sum of the losses of some problems, each of weight 1."""

    def __init__(self, model: EnergyModel, fit: Prepared, loss: LossName, most: int | None) -> None:
        self._model = model
        self._fit = fit
        self._loss = LOSSES[loss]
        self._most = most
        self._correct = [torch.tensor(group.correct) for group in fit.groups]

    def loss(self, items: Sequence[int]) -> tuple[torch.Tensor, float]:
        """Return the summed loss of the problems ``items`` and their number."""
        drawn = [self._drawn(self._correct[i]) for i in items]
        flat = [self._fit.each[i][k] for i, some in zip(items, drawn, strict=True) for k in some]
        energy_B = self._model.forward(flat).float()
        parts = energy_B.split([len(some) for some in drawn])
        total = torch.zeros((), device=energy_B.device)
        for i, some, energy_K in zip(items, drawn, parts, strict=True):
            total = total + self._loss(energy_K, self._correct[i][some].to(energy_K.device))
        return total, float(len(items))

    def _drawn(self, correct_K: torch.Tensor) -> list[int]:
        """Return which candidates take part: at most ``most`` right and as many wrong ones."""
        if self._most is None:
            return list(range(len(correct_K)))
        chosen: list[int] = []
        for rows in (torch.where(correct_K)[0], torch.where(~correct_K)[0]):
            chosen += rows[torch.randperm(len(rows))[: self._most]].tolist()
        return sorted(chosen)


def _pairs(groups: Sequence[Group]) -> list[tuple[str, str]]:
    return [(group.problem, text) for group in groups for text in group.texts]


def _dealt(model: EnergyModel, prepared: Prepared) -> list[list[float]]:
    return Prepared.of(prepared.groups, model.of_prepared(prepared.flat)).each
