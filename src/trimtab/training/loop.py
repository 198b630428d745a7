"""The one training loop: accumulate, clip, schedule, evaluate, stop early, checkpoint, resume.

It knows nothing of what is trained: an objective gives the summed loss of some items and their
weight, so gradients of a batch cut into parts are those of the whole batch. Everything random is
seeded from (seed, step) or (seed, epoch), so nothing but the step has to be remembered, and a
training that was killed and resumed leaves the same bytes as one that was not (CPU, float32, the
same number of threads).
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import torch
from torch import nn

from trimtab.core.errors import NonFiniteError
from trimtab.core.keys import derive_seed
from trimtab.core.training import Training
from trimtab.training.checkpoint import Checkpoints

_log = logging.getLogger(__name__)


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
        rows: ``steps.jsonl``: a row per update (loss, rate, gradient norm) and per evaluation.
    """

    steps: int
    reason: Literal["steps", "patience"]
    best_step: int | None
    best: float | None
    untrained: float | None
    rows: list[dict[str, Any]] = field(repr=False, default_factory=list)

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
            else:
                losses.append(row["loss"])
        return found


@dataclass(frozen=True)
class Course:
    """How and where one training runs.

    Attributes:
        settings: Steps, rates, patience.
        folder: Where checkpoints go; used by this training alone.
        seed: Everything random depends on it.
        identity: Hash of data and settings; a checkpoint with another one is refused.
        checkpoint_seconds: Time between two checkpoints; it changes no result.
    """

    settings: Training
    folder: Path
    seed: int
    identity: str
    checkpoint_seconds: float = 30.0


class Stateless:
    """An objective's two other methods, where the step is all that must be remembered."""

    def state(self) -> dict[str, Any]:
        """Nothing to remember."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Nothing to take back."""


class Loop:
    """One training in one folder; ``run`` starts it, goes on with it, or finds it finished."""

    def __init__(
        self,
        module: nn.Module,
        objective: Objective,
        course: Course,
        *,
        num_items: int,
        evaluate: Callable[[], tuple[float, ...]] | None = None,
    ) -> None:
        """Take what is trained and how.

        Args:
            module: Its parameters that require a gradient are trained.
            objective: Gives losses.
            course: How and where.
            num_items: Items are 0 to ``num_items - 1``.
            evaluate: Returns values on the select split, higher is better; the later ones break
                ties of the earlier ones.
        """
        self.module = module
        self.objective = objective
        self.course = course
        self.num_items = num_items
        self.evaluate = evaluate
        self.total = course.settings.num_steps(num_items)
        self._checkpoints = Checkpoints(course.folder)
        self._optimizer = _adamw(module, course.settings)
        self._step = 0
        self._best: tuple[float, ...] | None = None
        self._best_step: int | None = None
        self._untrained: float | None = None
        self._waited = 0
        self._new_rows: list[dict[str, Any]] = []

    def run(self) -> Outcome:
        """Train to the end.

        Raises:
            NonFiniteError: A loss or gradient is NaN or infinite; the last checkpoint stays.
            StoreError: The folder can't be written, or holds another training.
        """
        self._resume()
        devices = {p.device for p in self.module.parameters() if p.device.type == "cuda"}
        with torch.random.fork_rng(devices=sorted(devices, key=str)):
            if self._step == 0:
                self._look()
            saved = time.monotonic()
            while self._step < self.total and not self._out_of_patience():
                self._update()
                if self._step % self._every() == 0 or self._step == self.total:
                    self._look()
                if time.monotonic() - saved >= self.course.checkpoint_seconds:
                    self._save()
                    saved = time.monotonic()
        if self._new_rows:
            self._save()
        if self._best_step is not None:
            self._checkpoints.load_best(self._best_step, self.module)
        self.module.eval()
        return Outcome(
            steps=self._step,
            reason="patience" if self._step < self.total else "steps",
            best_step=self._best_step,
            best=None if self._best is None else self._best[0],
            untrained=self._untrained,
            rows=self._checkpoints.rows(),
        )

    def _resume(self) -> None:
        state = self._checkpoints.resume(self.module, self._optimizer, self.course.identity)
        if state is None:
            return
        self._step = state["step"]
        self._best = None if state["best"] is None else tuple(state["best"])
        self._best_step = state["best_step"]
        self._untrained, self._waited = state["untrained"], state["waited"]
        self.objective.restore(state["objective"])
        _log.info("resumed after %d of %d updates", self._step, self.total)

    def _save(self) -> None:
        state = {
            "identity": self.course.identity,
            "seed": self.course.seed,
            "best": self._best,
            "best_step": self._best_step,
            "untrained": self._untrained,
            "waited": self._waited,
            "objective": self.objective.state(),
        }
        self._checkpoints.save(self._step, self.module, self._optimizer, state, self._new_rows)
        self._new_rows = []

    def _every(self) -> int:
        return self.course.settings.evaluate_every or self.course.settings.steps_per_epoch(
            self.num_items
        )

    def _out_of_patience(self) -> bool:
        return (
            self.course.settings.patience is not None
            and self._waited >= self.course.settings.patience
        )

    def _look(self) -> None:
        """Evaluate, and keep the weights if they are the best so far."""
        if self.evaluate is None:
            return
        self.module.eval()
        values = self.evaluate()
        if not all(map(math.isfinite, values)):
            raise NonFiniteError(
                f"After {self._step} updates the select split has the values {list(values)}.",
                hint="Lower learning_rate, or train in float32.",
            )
        if self._step == 0:
            self._untrained = values[0]
        if self._best is None or values > self._best:
            self._best, self._best_step, self._waited = values, self._step, 0
            self._checkpoints.save_best(self._step, self.module)
        else:
            self._waited += 1
        self._new_rows.append({"step": self._step, "select": list(values)})

    def _update(self) -> None:
        step, epoch, items = self._step, *self._items(self._step)
        torch.manual_seed(derive_seed(self.course.seed, "step", step))
        self.module.train()
        size = self.course.settings.micro_batch or len(items)
        total, weight = 0.0, 0.0
        for at in range(0, len(items), size):
            loss, share = self.objective.loss(items[at : at + size])
            loss.backward()
            total, weight = total + float(loss.detach()), weight + share
        norm = self._clip(weight)
        if not (math.isfinite(total) and math.isfinite(norm)):
            raise NonFiniteError(
                f"Update {step} has the loss {total} and a gradient of norm {norm} (items "
                f"{items[:8]}).",
                hint="Lower learning_rate, or train in float32.",
            )
        rate = self.course.settings.rate(step, self.total)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        self._step += 1
        row = {"step": self._step, "epoch": epoch, "loss": total / weight, "rate": rate}
        self._new_rows.append({**row, "gradient_norm": norm, "weight": weight})

    def _items(self, step: int) -> tuple[int, list[int]]:
        """Return the epoch of an update and its items."""
        epoch, place = divmod(step, self.course.settings.steps_per_epoch(self.num_items))
        generator = torch.Generator().manual_seed(derive_seed(self.course.seed, "order", epoch))
        order = torch.randperm(self.num_items, generator=generator).tolist()
        return epoch, order[
            place * self.course.settings.batch : (place + 1) * self.course.settings.batch
        ]

    def _clip(self, weight: float) -> float:
        """Turn summed gradients into those of the mean loss, clip them, and return their norm."""
        parameters = [p for p in self.module.parameters() if p.grad is not None]
        for parameter in parameters:
            assert parameter.grad is not None
            parameter.grad.div_(weight)
        return float(nn.utils.clip_grad_norm_(parameters, self.course.settings.clip, foreach=False))


def _adamw(module: nn.Module, settings: Training) -> torch.optim.AdamW:
    trainable = [p for p in module.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trainable if p.dim() > 1], "weight_decay": settings.weight_decay},
        {"params": [p for p in trainable if p.dim() <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(
        [group for group in groups if group["params"]],
        lr=settings.learning_rate,
        betas=settings.betas,
        foreach=False,
    )
