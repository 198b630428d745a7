"""How each kind of energy model is made, trained and loaded."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from trimtab.core.errors import DataError
from trimtab.core.keys import derive_seed
from trimtab.core.training import Training
from trimtab.models.nets.networks import SIZES, Encoder, Head
from trimtab.models.nets.verifier import Verifier
from trimtab.models.pairs import PairTokenizer, render_pair
from trimtab.steering.fitted import ModelAccess
from trimtab.training.loop import Course, Outcome
from trimtab.training.rerankers import surface
from trimtab.training.rerankers.config import EnergyConfig
from trimtab.training.rerankers.energies import (
    EncoderEnergy,
    EnergyModel,
    HeadEnergy,
    LoraEnergy,
    SurfaceEnergy,
    hidden_states,
)
from trimtab.training.rerankers.groups import Usable
from trimtab.training.rerankers.ranking import Prepared, mine, of_groups, rank

if TYPE_CHECKING:
    pass

DEFAULTS: dict[str, Training] = {
    "encoder": Training(epochs=10, learning_rate=5e-4, micro_batch=2, weight_decay=0.1),
    "head": Training(epochs=40, learning_rate=1e-3, weight_decay=0.1, patience=8),
    "lora": Training(epochs=3, learning_rate=2e-4, micro_batch=1),
    "length": Training(epochs=60, learning_rate=2e-2, weight_decay=0.0, patience=10),
    "format": Training(epochs=60, learning_rate=2e-2, weight_decay=0.0, patience=10),
}


@dataclass(frozen=True)
class Job:
    """One fit: what it works with, and where."""

    config: EnergyConfig
    fit: Usable
    select: Usable
    folder: Path
    seed: int
    identity: str
    checkpoint_seconds: float

    @property
    def settings(self) -> Training:
        """Steps and rates: those given, else the kind's own."""
        return self.config.training or DEFAULTS[self.config.kind]

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
            ),
            loss=self.config.loss,
            most=self.config.most or (1 if self.config.kind == "lora" else None),
        )


def _fit_encoder(job: Job, _: ModelAccess | None) -> tuple[EnergyModel, dict[str, Any]]:
    shape = SIZES[job.config.size]
    pairs = [render_pair(g.problem, text) for g in job.fit.groups for text in g.texts]
    tokenizer = PairTokenizer.train(pairs, shape.vocabulary, shape.max_length)
    with _seeded(job.seed):
        net = Encoder(shape, tokenizer.size, loops=job.config.loops, positions=job.config.positions)
    model = EncoderEnergy(net, tokenizer, _device())
    tokenizer.save(job.folder / "tokenizer.json")
    outcome = _train(job, model)
    return model, {**told(outcome), "vocabulary": tokenizer.size}


def _fit_lora(job: Job, subject: ModelAccess | None) -> tuple[EnergyModel, dict[str, Any]]:
    with _seeded(job.seed):
        model = _verifier(job.config, _needed(subject))
    return model, {**told(_train(job, model)), "model": _needed(subject).identity}


def _fit_head(job: Job, subject: ModelAccess | None) -> tuple[EnergyModel, dict[str, Any]]:
    """Train a head on each layer and keep the one that ranks the select split best."""
    engine = _needed(subject).engine()
    last = engine.num_layers - 1
    layers = job.config.layers or tuple(sorted({last // 4, last // 2, 3 * last // 4, last}))
    if max(layers) > last:
        raise DataError(f"layers = {list(layers)}, and the model's blocks are 0 to {last}.")
    both = [*job.fit.groups, *job.select.groups]
    # models repeat themselves; what is equal is read once
    pairs = list(dict.fromkeys((group.problem, text) for group in both for text in group.texts))
    states = dict(zip(pairs, hidden_states(engine, pairs, layers), strict=True))
    tried: list[tuple[float, EnergyModel, Outcome]] = []
    for i, layer in enumerate(layers):
        with _seeded(job.seed):
            model = HeadEnergy(Head(2 * engine.hidden_size), engine, layer)
        fit, select = (
            Prepared.of(groups, [states[g.problem, t][i] for g in groups for t in g.texts])
            for groups in (job.fit.groups, job.select.groups)
        )
        model.module.standardise(torch.stack(fit.flat))
        outcome = job.rank(model, f"layer-{layer:03d}", fit, select, job.settings)
        tried.append((outcome.best or 0.0, model, outcome))
    # max takes the first of equals: the lower layer.
    _, best, outcome = max(tried, key=lambda one: one[0])
    assert isinstance(best, HeadEnergy)
    selects = {str(layer): value for layer, (value, _, _) in zip(layers, tried, strict=True)}
    about = {"layer": best.layer, "layers": selects, "index": "block_output_0based"}
    return best, {**told(outcome), **about, "model": _needed(subject).identity}


def _fit_surface(job: Job, _: ModelAccess | None) -> tuple[EnergyModel, dict[str, Any]]:
    with _seeded(job.seed):
        model = _surface(job.config)
    prepared = model.prepare([(g.problem, t) for g in job.fit.groups for t in g.texts])
    model.module.standardise(torch.stack(prepared))
    return model, told(_train(job, model))


def _train(job: Job, model: EnergyModel) -> Outcome:
    fit, select = (Prepared.by(model, one.groups) for one in (job.fit, job.select))
    return job.rank(model, "training", fit, select, job.settings)


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


def _load_encoder(
    config: EnergyConfig, info: dict[str, Any], folder: Path, _: ModelAccess | None
) -> EnergyModel:
    shape = SIZES[config.size]
    tokenizer = PairTokenizer.load(folder / "tokenizer.json", shape.max_length)
    net = Encoder(shape, info["vocabulary"], loops=config.loops, positions=config.positions)
    return EncoderEnergy(net, tokenizer, _device())


def _load_head(
    _: EnergyConfig, info: dict[str, Any], __: Path, subject: ModelAccess | None
) -> EnergyModel:
    engine = _needed(subject).engine()
    return HeadEnergy(Head(2 * engine.hidden_size), engine, info["layer"])


def _verifier(config: EnergyConfig, subject: ModelAccess) -> EnergyModel:
    engine = subject.engine()
    return LoraEnergy(Verifier(engine.loaded, config.rank), engine)


def _surface(config: EnergyConfig) -> SurfaceEnergy:
    kind: surface.Kind = "length" if config.kind == "length" else "format"
    return SurfaceEnergy(Head(len(surface.FEATURES[kind]("")), inner=0), kind)


FITS: dict[str, Callable[[Job, ModelAccess | None], tuple[EnergyModel, dict[str, Any]]]] = {
    "encoder": _fit_encoder,
    "head": _fit_head,
    "lora": _fit_lora,
    "length": _fit_surface,
    "format": _fit_surface,
}
LOADS: dict[
    str, Callable[[EnergyConfig, dict[str, Any], Path, ModelAccess | None], EnergyModel]
] = {
    "encoder": _load_encoder,
    "head": _load_head,
    "lora": lambda config, _, __, subject: _verifier(config, _needed(subject)),
    "length": lambda config, _, __, ___: _surface(config),
    "format": lambda config, _, __, ___: _surface(config),
}


def _needed(subject: ModelAccess | None) -> ModelAccess:
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
def _seeded(seed: int) -> Iterator[None]:
    """Draw new weights from a stream of their own, and leave torch's as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, "weights"))
        yield


def _device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
