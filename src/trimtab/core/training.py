"""How something is trained: the settings of the one training loop. No torch here."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from trimtab.core.spec import Spec


class Training(Spec):
    """Steps, their size, and when to stop.

    Attributes:
        epochs: Passes over the data; the last one may be a part.
        steps: Updates; given, it counts and ``epochs`` does not.
        batch: Items per update.
        micro_batch: Items computed at once, to save memory; None is the whole batch.
        learning_rate: Highest rate of AdamW.
        schedule: What the rate does after the warm-up.
        warmup: Share of the steps in which the rate rises from 0.
        floor: Share of the highest rate that ``cosine`` and ``linear`` end at.
        betas: AdamW's.
        weight_decay: On matrices; norms and biases have none.
        clip: Largest norm of the gradient.
        evaluate_every: Steps between two looks at the select split; None is once an epoch.
        patience: Looks without a better value after which training stops; None never stops.
        most_skipped: Updates whose loss or gradient is not finite that are skipped and counted; the
            one after them is an error. 0: the first one is.
        skipped_in_a_row: After so many skipped ones in a row the last weights that gave a finite
            loss come back.
    """

    epochs: PositiveFloat = 3.0
    steps: PositiveInt | None = None
    batch: PositiveInt = 8
    micro_batch: PositiveInt | None = None
    learning_rate: PositiveFloat = 3e-4
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    warmup: float = Field(default=0.05, ge=0, lt=1)
    floor: float = Field(default=0.1, ge=0, le=1)
    betas: tuple[float, float] = (0.9, 0.95)
    weight_decay: NonNegativeFloat = 0.01
    clip: PositiveFloat = 1.0
    evaluate_every: PositiveInt | None = None
    patience: PositiveInt | None = 3
    most_skipped: NonNegativeInt = 0
    skipped_in_a_row: PositiveInt = 3

    def steps_per_epoch(self, num_items: int) -> int:
        """Return the updates of one pass over ``num_items``; the last may be a smaller batch."""
        return math.ceil(num_items / self.batch)

    def num_steps(self, num_items: int) -> int:
        """Return the updates of the whole training."""
        return self.steps or math.ceil(self.epochs * self.steps_per_epoch(num_items))

    def rate(self, step: int, total: int) -> float:
        """Return the learning rate of update ``step`` (0-based) of ``total``."""
        rising = math.ceil(self.warmup * total)
        if step < rising:
            return self.learning_rate * (step + 1) / rising
        if self.schedule == "constant":
            return self.learning_rate
        done = (step - rising) / max(1, total - 1 - rising)
        left = 1 - done if self.schedule == "linear" else (1 + math.cos(math.pi * done)) / 2
        return self.learning_rate * (self.floor + (1 - self.floor) * left)
