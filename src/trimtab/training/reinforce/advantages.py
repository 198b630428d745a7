"""Rewards to advantages. A baseline is what was known before the round, so it adds no bias."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from trimtab.training.reinforce.config import BaselineConfig

Rewards = Sequence[Sequence[float | None]]
"""For each item of a round the rewards of its samples; None is missing."""

_LEAST_SPREAD = 1e-4
"""Added to a standard deviation before it divides, as in TRL's GRPO."""


@dataclass(frozen=True)
class Advantages:
    """What a round's samples are worth.

    Attributes:
        values: As the rewards; None where the reward is missing.
        baseline: The running mean before the round; None where there is none.
    """

    values: list[list[float | None]]
    baseline: float | None


class Baseline:
    """Makes advantages of rewards, round by round."""

    def __init__(self, config: BaselineConfig) -> None:
        """Begin without having seen a reward."""
        self._config = config
        self._mean = 0.0
        self._rounds = 0

    def advantages(self, rewards: Rewards) -> Advantages:
        """Return the advantages of a round; the running mean learns of it afterwards.

        A round without any reward leaves the running mean as it is.
        """
        known = [reward for group in rewards for reward in group if reward is not None]
        before = self.running
        if self._config.kind == "ema":
            values = [[_less(reward, before) for reward in group] for group in rewards]
            if known:
                self._learn(math.fsum(known) / len(known))
        elif self._config.kind == "batch_mean":
            mean = math.fsum(known) / len(known) if known else 0.0
            values = [[_less(reward, mean) for reward in group] for group in rewards]
        elif self._config.kind == "none":
            values = [list(group) for group in rewards]
        else:
            of = _left_out if self._config.kind == "rloo" else _normalised
            values = [of(group) for group in rewards]
        return Advantages(values, before)

    @property
    def running(self) -> float | None:
        """The running mean; None where there is none, or none yet."""
        if self._config.kind != "ema":
            return None
        if self._config.start == "zero":
            return self._mean
        if not self._rounds:
            return None
        if self._config.start == "first":
            return self._mean
        return self._mean / (1 - self._config.decay**self._rounds)

    def state(self) -> dict[str, Any]:
        """Return what a resumed training must know, as JSON types."""
        return {"mean": self._mean, "rounds": self._rounds}

    def restore(self, state: dict[str, Any]) -> None:
        """Take back what ``state`` gave."""
        self._mean, self._rounds = state["mean"], state["rounds"]

    def _learn(self, reward: float) -> None:
        decay = self._config.decay
        if self._config.start == "first" and not self._rounds:
            self._mean = reward
        else:
            self._mean = decay * self._mean + (1 - decay) * reward
        self._rounds += 1


def _less(reward: float | None, baseline: float | None) -> float | None:
    """Return the advantage; nothing is learned where no baseline is known."""
    if reward is None:
        return None
    return 0.0 if baseline is None else reward - baseline


def _left_out(group: Sequence[float | None]) -> list[float | None]:
    """Return each reward less the mean of the others; a lone one has nothing to compare with."""
    known = [reward for reward in group if reward is not None]
    total, others = math.fsum(known), len(known) - 1
    return [
        None if reward is None else (reward - (total - reward) / others if others else 0.0)
        for reward in group
    ]


def _normalised(group: Sequence[float | None]) -> list[float | None]:
    """Return each reward less the group's mean, over the standard deviation of a sample."""
    known = [reward for reward in group if reward is not None]
    if len(known) < 2:
        return [None if reward is None else 0.0 for reward in group]
    mean = math.fsum(known) / len(known)
    spread = math.sqrt(math.fsum((r - mean) ** 2 for r in known) / (len(known) - 1))
    return [None if r is None else (r - mean) / (spread + _LEAST_SPREAD) for r in group]
