"""Alarms: a run that goes wrong says so when it does, once for each way of going wrong. No torch.

Known ways: a policy that collapses onto one text (entropy), that runs away from its base (KL),
whose grades can't be read any more, whose reward falls back from what it was, whose gradients jump,
and one that learns from other probabilities than it sampled with.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt

from trimtab.core.spec import Spec


class AlarmConfig(Spec):
    """Bounds beyond which a run raises an alarm; null is no such alarm.

    Attributes:
        window: Rounds that reward, entropy, KL, unread grades and mismatch are averaged over.
        reward_fall: How far the mean reward may fall below the best that it was.
        divergence: Largest KL to the base, nats per sampled token.
        unparsed: Largest share of grades that can't be read.
        gradient_norm: Largest norm of a round's gradient before clipping.
        mismatch: Largest difference of recomputed and sampled log-probability of an answer or a
            grade, nats per token.
        entropy_left: Least share of the entropy of the first window.
        stop: Names of alarms that end their run; the others go on.
    """

    window: PositiveInt = 20
    reward_fall: PositiveFloat | None = 0.3
    divergence: PositiveFloat | None = 1.0
    unparsed: NonNegativeFloat | None = 0.5
    gradient_norm: PositiveFloat | None = 100.0
    mismatch: PositiveFloat | None = 0.1
    entropy_left: NonNegativeFloat | None = 0.1
    stop: tuple[str, ...] = ()


NAMES = ("reward_fall", "divergence", "unparsed", "gradient_norm", "mismatch", "entropy_left")
"""Alarms, as their bounds are named."""
_AVERAGED = ("reward", "divergence", "unparsed", "entropy", "mismatch")


class Watch:
    """What a run remembers of its rounds to raise alarms."""

    def __init__(self, config: AlarmConfig) -> None:
        """Remember nothing yet."""
        self.config = config
        self._last: dict[str, list[float | None]] = {name: [] for name in _AVERAGED}
        self._best_reward: float | None = None
        self._first_entropy: float | None = None
        self.raised: list[dict[str, Any]] = []

    def after(self, number: int, row: Mapping[str, Any], norm: float) -> list[dict[str, Any]]:
        """Return the alarms of a round that were not raised before.

        Args:
            number: Of the round, from 1.
            row: What is told of it, ``reward``, ``divergence``, ``entropy``, ``mismatch``,
                ``unparsed`` and ``episodes``; None is not known.
            norm: Of its gradient, before clipping.
        """
        episodes = row.get("episodes")
        unread = row["unparsed"] / len(episodes) if episodes else None
        for name, values in self._last.items():
            values.append(unread if name == "unparsed" else row.get(name))
            del values[: -self.config.window]
        found = []
        for name, value, bound in self._crossed(norm):
            if all(alarm["name"] != name for alarm in self.raised):
                text = f"{name} {value:.3g}, and {bound:.3g} is the bound"
                found.append({"round": number, "name": name, "value": value, "text": text})
        self.raised += found
        return found

    def stopped_by(self) -> str | None:
        """Return the alarm that ends the run; None if none does."""
        names = [alarm for alarm in self.raised if alarm["name"] in self.config.stop]
        return f"alarm in round {names[0]['round']}: {names[0]['text']}" if names else None

    def state(self) -> dict[str, Any]:
        """Return all that is remembered, as JSON types."""
        return {
            "last": self._last,
            "best_reward": self._best_reward,
            "first_entropy": self._first_entropy,
            "raised": self.raised,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take it back."""
        self._last = {name: list(state["last"].get(name, ())) for name in _AVERAGED}
        self._best_reward, self._first_entropy = state["best_reward"], state["first_entropy"]
        self.raised = list(state["raised"])

    def _crossed(self, norm: float) -> list[tuple[str, float, float]]:
        """Return name, value and bound of each alarm of this round; means need a full window."""
        config = self.config
        found: list[tuple[str, float | None, float | None]] = [
            ("gradient_norm", norm, config.gradient_norm),
            ("mismatch", self._mean("mismatch"), config.mismatch),
            ("divergence", self._mean("divergence"), config.divergence),
            ("unparsed", self._mean("unparsed"), config.unparsed),
        ]
        reward, entropy = self._mean("reward"), self._mean("entropy")
        if reward is not None:
            best = self._best_reward
            self._best_reward = reward if best is None else max(reward, best)
            found.append(("reward_fall", self._best_reward - reward, config.reward_fall))
        if entropy is not None and self._first_entropy is None:
            self._first_entropy = entropy
        crossed = [(n, v, b) for n, v, b in found if v is not None and b is not None and v > b]
        if entropy is not None and self._first_entropy and config.entropy_left is not None:
            left = entropy / self._first_entropy
            if left < config.entropy_left:
                crossed.append(("entropy_left", left, config.entropy_left))
        return crossed

    def _mean(self, name: str) -> float | None:
        values = self._last[name]
        known = [value for value in values if value is not None]
        if len(values) < self.config.window or not known:
            return None
        return math.fsum(known) / len(known)
