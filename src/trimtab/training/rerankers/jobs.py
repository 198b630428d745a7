"""One fit of an energy model: what it works with, and what is told of it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from trimtab.core.errors import DataError
from trimtab.core.fences import Fence
from trimtab.core.keys import derive_seed
from trimtab.core.training import Training
from trimtab.steering.fitted import ModelAccess
from trimtab.training.course import Course, Outcome
from trimtab.training.rerankers.config import EnergyConfig
from trimtab.training.rerankers.energies import EnergyModel
from trimtab.training.rerankers.groups import Usable
from trimtab.training.rerankers.ranking import Prepared, rank


@dataclass(frozen=True)
class Job:
    """One fit: what it works with, where, and what is asked before anything is written there."""

    config: EnergyConfig
    fit: Usable
    select: Usable
    folder: Path
    seed: int
    identity: str
    checkpoint_seconds: float
    defaults: Training
    fence: Fence

    @property
    def settings(self) -> Training:
        """Steps and rates: those given, else the kind's own."""
        return self.config.training or self.defaults

    def rank(
        self, model: EnergyModel, name: str, fit: Prepared, select: Prepared, settings: Training
    ) -> Outcome:
        """Train ``model`` to rank, with checkpoints below ``folder / name``."""
        return rank(
            model,
            fit,
            select,
            Course(
                settings=settings,
                folder=self.folder / name,
                seed=derive_seed(self.seed, name),
                identity=f"{self.identity}:{name}",
                checkpoint_seconds=self.checkpoint_seconds,
                fence=self.fence,
            ),
            loss=self.config.loss,
            most=self.config.most or (1 if self.config.kind == "lora" else None),
        )


def train(job: Job, model: EnergyModel) -> Outcome:
    """Train ``model`` on the fit split and keep what ranks the select split best."""
    fit, select = (Prepared.by(model, one.groups) for one in (job.fit, job.select))
    return job.rank(model, "training", fit, select, job.settings)


def needed(subject: ModelAccess | None) -> ModelAccess:
    """Return ``subject``; raise DataError where there is none."""
    if subject is None:
        raise DataError("This kind of energy runs on a language model, and none was given.")
    return subject


def told(outcome: Outcome) -> dict[str, Any]:
    """Return what ``artifact.json`` says of a training."""
    return {
        "updates": outcome.steps,
        "ended_by": outcome.reason,
        "best_update": outcome.best_step,
        "select_pair_accuracy": outcome.best,
        "untrained_pair_accuracy": outcome.untrained,
        "history": [_look(*look) for look in outcome.looks()],
    }


def _look(update: int, fit_loss: float | None, values: Sequence[float]) -> dict[str, Any]:
    accuracy, minus_loss = values
    look = {"update": update, "fit_loss": fit_loss, "select_loss": -minus_loss}
    return {**look, "select_pair_accuracy": accuracy}


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draw new weights from a stream of their own, and leave torch's as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, "weights"))
        yield


def device() -> torch.device:
    """Return where networks that are not the subject run."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
