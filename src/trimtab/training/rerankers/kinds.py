"""How each kind of energy model is trained and loaded, by its name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trimtab.core.training import Training
from trimtab.steering.fitted import ModelAccess
from trimtab.training.rerankers import encoder, head, lora, surface
from trimtab.training.rerankers.config import EnergyConfig
from trimtab.training.rerankers.energies import EnergyModel
from trimtab.training.rerankers.jobs import Job, told
from trimtab.training.rerankers.ranking import Prepared, mine, of_groups

Fit = Callable[[Job, ModelAccess | None], tuple[EnergyModel, dict[str, Any]]]
Load = Callable[[EnergyConfig, dict[str, Any], Path, ModelAccess | None], EnergyModel]


@dataclass(frozen=True)
class Kind:
    """One kind: how it is trained, how it is loaded, and its usual steps and rates."""

    fit: Fit
    load: Load
    defaults: Training


KINDS: dict[str, Kind] = {
    "encoder": Kind(
        encoder.fit,
        encoder.load,
        Training(epochs=10, learning_rate=5e-4, micro_batch=2, weight_decay=0.1),
    ),
    "head": Kind(
        head.fit,
        head.load,
        Training(epochs=40, learning_rate=1e-3, weight_decay=0.1, patience=8),
    ),
    "lora": Kind(lora.fit, lora.load, Training(epochs=3, learning_rate=2e-4, micro_batch=1)),
    **dict.fromkeys(
        ("length", "format"),
        Kind(
            surface.fit,
            surface.load,
            Training(epochs=60, learning_rate=2e-2, weight_decay=0.0, patience=10),
        ),
    ),
}


def second_round(job: Job, model: EnergyModel) -> dict[str, Any]:
    """Go on with the most convincing wrong candidates; worse on select, nothing is changed."""
    if not job.config.mining:
        return {}
    hard = mine(job.fit.groups, of_groups(model, job.fit.groups), job.config.mining)
    settings = job.settings.model_copy(
        update={"learning_rate": job.settings.learning_rate / 10, "steps": None}
    )
    fit, select = (Prepared.by(model, groups) for groups in (hard, job.select.groups))
    outcome = job.rank(model, "mining", fit, select, settings)
    return {"mining": {**told(outcome), "kept": bool(outcome.best_step)}}
