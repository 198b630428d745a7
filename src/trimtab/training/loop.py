"""The one training loop: accumulate, clip, schedule, evaluate, stop early, checkpoint, resume.

It knows nothing of what is trained: an objective gives the summed loss of some items and their
weight, so gradients of a batch cut into parts are those of the whole batch. Everything random is
seeded from (seed, step) or (seed, epoch), so nothing but the step has to be remembered, and a
training that was killed and resumed leaves the same bytes as one that was not (CPU, float32, the
same number of threads).

``run`` does all of it. Who computes the gradients of several trainings in one pass (adapters on one
base) calls ``begin``, then ``batch`` and ``apply`` until ``over``, then ``end`` of each. To save
them at one point it gives no time between checkpoints, calls ``save`` of each, writes down that it
did, and calls ``tidy`` of each.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from trimtab.core.errors import NonFiniteError
from trimtab.core.keys import derive_seed
from trimtab.core.training import Training
from trimtab.models.finite import are_finite
from trimtab.training.checkpoint import Checkpoints
from trimtab.training.course import Batch, Course, Objective, Outcome
from trimtab.training.good import LastGood
from trimtab.training.pace import Pace

_log = logging.getLogger(__name__)


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
        watch: Callable[[], dict[str, Any]] | None = None,
        parts: Callable[[list[int]], list[list[int]]] | None = None,
        order: Callable[[int], list[int]] | None = None,
        name_of: Callable[[int], str] = "item {}".format,
    ) -> None:
        """Take what is trained and how.

        Args:
            module: Its parameters that require a gradient are trained.
            objective: Gives losses.
            course: How and where.
            num_items: Items are 0 to ``num_items - 1``.
            evaluate: Returns values on the select split, higher is better; the later ones break
                ties of the earlier ones.
            watch: Returns what is noted before the first update and where weights are kept, as JSON
                types; it changes nothing.
            parts: Cuts a batch into what is computed at once; parts of ``micro_batch`` items if not
                given.
            order: Returns all items in the order of an epoch; shuffled anew for each if not given.
            name_of: Returns an item's name, for messages.
        """
        self.module = module
        # walking through the modules takes longer than an update of small factors
        self.trained = {n: p for n, p in module.named_parameters() if p.requires_grad}
        self.objective = objective
        self.course = course
        self.num_items = num_items
        self.evaluate = evaluate
        self.watch = watch
        self.parts = parts or self._micro_batches
        self.order = order or self._shuffled
        self.name_of = name_of
        self.total = course.settings.num_steps(num_items)
        self.checkpoints = Checkpoints(course.folder, course.fence)
        self._optimizer = _adamw(list(self.trained.values()), course.settings)
        self._step = 0
        self._best: tuple[float, ...] | None = None
        self._best_step: int | None = None
        self._untrained: float | None = None
        self._waited = 0
        self._skipped = 0
        self._in_a_row = 0
        self._good = LastGood()
        self._saved = 0.0
        self._new_rows: list[dict[str, Any]] = []
        self._pace = Pace(course.tell)

    def run(self) -> Outcome:
        """Train to the end.

        Raises:
            NonFiniteError: A loss or gradient is NaN or infinite, more often than the settings
                allow; the last checkpoint stays.
            StoreError: The folder can't be written, or holds another training.
        """
        devices = {p.device for p in self.module.parameters() if p.device.type == "cuda"}
        with torch.random.fork_rng(devices=sorted(devices, key=str)):
            self.begin()
            while not self.over:
                batch = self.batch()
                self.apply(batch, *self._gradients(batch))
        return self.end()

    def begin(self, at: int | None = None) -> None:
        """Go on from the newest checkpoint, or look at what is there before the first update.

        ``at`` is the checkpoint to go on from in its place; 0 is none.
        """
        self._resume(at)
        if self._step == 0:
            self._look()
            self._note_watched()
        self._saved = time.monotonic()
        self._pace.start(self._step)

    @property
    def over(self) -> bool:
        """Whether the training has made its last update."""
        return self._step >= self.total or self._out_of_patience()

    def batch(self) -> Batch:
        """Return the items of the next update, with torch's streams seeded for it."""
        epoch, items = self._items(self._step)
        torch.manual_seed(derive_seed(self.course.seed, "step", self._step))
        self.module.train()
        return Batch(self._step, epoch, items)

    @property
    def step(self) -> int:
        """Updates made, with those that were skipped."""
        return self._step

    def apply(
        self, batch: Batch, total: float, weight: float, note: dict[str, Any] | None = None
    ) -> None:
        """Update with the gradients that are there, or skip the batch; look, keep and save.

        Args:
            batch: What ``batch`` gave.
            total: The summed loss of its items.
            weight: Their summed weights.
            note: What else is kept with the update in the log.

        Raises:
            NonFiniteError: As ``run``.
        """
        norm = self._clip(weight)
        rate = self.course.settings.rate(batch.step, self.total)
        row: dict[str, Any] = {
            "step": batch.step + 1,
            "epoch": batch.epoch,
            "loss": total / weight,
            "rate": rate,
        }
        if math.isfinite(total) and math.isfinite(norm):
            self._in_a_row = 0
            if self.course.settings.most_skipped:
                self._good.take(self.trained, self._optimizer)
            for group in self._optimizer.param_groups:
                group["lr"] = rate
            self._optimizer.step()
            row |= {"gradient_norm": norm, "weight": weight}
        else:
            row |= {"loss": None, **self._skip(batch, total, norm)}
        row |= note or {}
        self._optimizer.zero_grad(set_to_none=True)
        self._step += 1
        self._new_rows.append(row)
        self._after_update()

    def end(self) -> Outcome:
        """Save, and return how it ended; the module holds the best weights, or the last."""
        if self._new_rows:
            self.save()
            self.tidy()
        if self._best_step is not None:
            self.checkpoints.load_best(self._best_step, self.module)
        self.module.eval()
        return Outcome(
            steps=self._step,
            reason="patience" if self._step < self.total else "steps",
            best_step=self._best_step,
            best=None if self._best is None else self._best[0],
            untrained=self._untrained,
            rows=self.checkpoints.rows(),
            skipped=self._skipped,
        )

    def _resume(self, at: int | None) -> None:
        state = self.checkpoints.resume(self.module, self._optimizer, self.course.identity, at)
        if state is None:
            return
        self._step = state["step"]
        self._best = None if state["best"] is None else tuple(state["best"])
        self._best_step = state["best_step"]
        self._untrained, self._waited = state["untrained"], state["waited"]
        self._skipped, self._in_a_row = state.get("skipped", (0, 0))
        self._good.tensors = self.checkpoints.good(self._step)
        self.objective.restore(state["objective"])
        _log.info("resumed after %d of %d updates", self._step, self.total)

    def save(self) -> None:
        """Write a checkpoint beside the one that is there; ``tidy`` drops that one."""
        state = {
            "identity": self.course.identity,
            "seed": self.course.seed,
            "best": self._best,
            "best_step": self._best_step,
            "untrained": self._untrained,
            "waited": self._waited,
            "objective": self.objective.state(),
        }
        if self._skipped:
            state["skipped"] = [self._skipped, self._in_a_row]
        good, rows = self._good.tensors, self._new_rows
        self.checkpoints.save(self._step, self.module, self._optimizer, state, rows, good)
        self._new_rows = []
        self._saved = time.monotonic()

    def tidy(self) -> None:
        """Drop all checkpoints but the one of the last update."""
        self.checkpoints.tidy(self._step, self._best_step)

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
            self.checkpoints.save_best(self._step, self.module)
        else:
            self._waited += 1
        self._new_rows.append({"step": self._step, "select": list(values)})

    def _note_watched(self) -> None:
        if self.watch is not None:
            self.module.eval()
            self._new_rows.append({"step": self._step, "watched": self.watch()})

    def _after_update(self) -> None:
        if self._step % self._every() == 0 or self._step == self.total:
            self._look()
        if self._step in self.course.keep:
            self.checkpoints.keep(self._step, self.module)
            self._note_watched()
        self._pace.after(self._step, self.total, self._new_rows)
        if time.monotonic() - self._saved >= self.course.checkpoint_seconds:
            self.save()
            self.tidy()

    def _gradients(self, batch: Batch) -> tuple[float, float]:
        """Gather the gradients of a batch; return its summed loss and weight."""
        total, weight = 0.0, 0.0
        for part in self.parts(batch.items):
            loss, share = self.objective.loss(part)
            loss.backward()
            total, weight = total + float(loss.detach()), weight + share
        return total, weight

    def _skip(self, batch: Batch, total: float, norm: float) -> dict[str, Any]:
        """Count a batch that is not finite, and go back if it is one of many in a row.

        Raises:
            NonFiniteError: It is one too many; the items that are not finite alone are named.
        """
        settings = self.course.settings
        self._skipped, self._in_a_row = self._skipped + 1, self._in_a_row + 1
        if self._skipped > settings.most_skipped:
            many = f", after {settings.most_skipped} that were skipped" * bool(
                settings.most_skipped
            )
            raise NonFiniteError(
                f"Update {batch.step} has the loss {total} and a gradient of norm {norm}{many} "
                f"({self._culprits(batch)}).",
                hint="Lower learning_rate, or train in float32.",
            )
        back = self._in_a_row >= settings.skipped_in_a_row
        if back:
            self._good.give_back(self.module, self._optimizer)
            self._in_a_row = 0
        _log.warning(
            "update %d was skipped: its loss is %s, its gradient %s", batch.step, total, norm
        )
        return {"skipped": [self.name_of(item) for item in batch.items], "went_back": back}

    def _culprits(self, batch: Batch) -> str:
        """Return which items of a batch are not finite alone; all of them if none is."""
        alone = []
        for item in batch.items:
            self._optimizer.zero_grad(set_to_none=True)
            loss, _ = self.objective.loss([item])
            loss.backward()
            grads = [p.grad for p in self.trained.values() if p.grad is not None]
            if not are_finite([loss, *grads]):
                alone.append(item)
        names = [self.name_of(item) for item in alone or batch.items]
        return ", ".join(names[:8]) + ", ..." * (len(names) > 8)

    def _micro_batches(self, items: list[int]) -> list[list[int]]:
        size = self.course.settings.micro_batch or len(items)
        return [items[at : at + size] for at in range(0, len(items), size)]

    def _items(self, step: int) -> tuple[int, list[int]]:
        """Return the epoch of an update and its items."""
        size = self.course.settings.batch
        epoch, place = divmod(step, self.course.settings.steps_per_epoch(self.num_items))
        return epoch, self.order(epoch)[place * size : (place + 1) * size]

    def _shuffled(self, epoch: int) -> list[int]:
        generator = torch.Generator().manual_seed(derive_seed(self.course.seed, "order", epoch))
        return torch.randperm(self.num_items, generator=generator).tolist()

    def _clip(self, weight: float) -> float:
        """Turn summed gradients into those of the mean loss, clip them, and return their norm."""
        parameters = [p for p in self.trained.values() if p.grad is not None]
        for parameter in parameters:
            assert parameter.grad is not None
            parameter.grad.div_(weight)
        return float(nn.utils.clip_grad_norm_(parameters, self.course.settings.clip, foreach=False))


def _adamw(trainable: Sequence[nn.Parameter], settings: Training) -> torch.optim.AdamW:
    groups = [
        {"params": [p for p in trainable if p.dim() > 1], "weight_decay": settings.weight_decay},
        {"params": [p for p in trainable if p.dim() <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(
        [group for group in groups if group["params"]],
        lr=settings.learning_rate,
        betas=settings.betas,
        fused=True,
    )
