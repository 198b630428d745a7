"""Tiny runs that are rewarded: a model of few words, which writes 0s and 1s, and its items."""

from dataclasses import replace
from pathlib import Path

import torch

from trimtab.core.spec import ModelSpec
from trimtab.core.types import Message, Sample
from trimtab.engine.engine import Engine
from trimtab.models.load import LoadedModel, load_model, resolve
from trimtab.models.tiny import TinyLayout, save_tiny
from trimtab.training.reinforce.config import ReinforceTraining
from trimtab.training.reinforce.learner import RunSetting

SMALL = ReinforceTraining(
    rank=2, rounds=6, answer_tokens=5, grade_tokens=3, learning_rate=1e-3, keep_every=3
)
FEW = ("0", "1", "<|end|>")


def terse_engine(folder: Path, dtype: torch.dtype = torch.float32) -> Engine:
    """Return the engine of a model that writes hardly anything but ``FEW``.

    One state of its last norm is constant, and the head reads from it which tokens are likely.
    """
    loaded = tiny(folder, "gpt_neox")
    norm, head = loaded.model.gpt_neox.final_layer_norm, loaded.layout.lm_head
    with torch.no_grad():
        norm.weight[0], norm.bias[0] = 0.0, 4.0
        head.weight[:, 0] = -1.0
        head.weight[loaded.tokenizer.convert_tokens_to_ids(list(FEW)), 0] = 1.0
    loaded.model.to(dtype)
    return Engine(replace(loaded, dtype=dtype))


def tiny(folder: Path, layout: TinyLayout) -> LoadedModel:
    """Return a tiny model."""
    path = save_tiny(folder / layout, layout, num_layers=2)
    return load_model(resolve(ModelSpec(id=str(path), device="cpu")))


def items(count: int = 5) -> list[Sample]:
    """Return samples of different lengths."""
    return [
        Sample(id=f"s{i}", messages=(Message(role="user", content=f"What{'?' * i} {i}"),))
        for i in range(count)
    ]


def starts_with_one(answers) -> list[float]:
    """Score 1 for what starts with a 1."""
    return [float(text.startswith("1")) for _, text in answers]


def run_of(name: str, seed: int = 0, held_out=(), **settings) -> RunSetting:
    """Return a run."""
    changed = ReinforceTraining(**SMALL.model_dump(exclude_defaults=True) | settings)
    how = (starts_with_one, "starts with 1", seed, held_out)
    return RunSetting(name, changed, items(), "chat", *how)


def moved(module: torch.nn.Module, seed: int = 0, size: float = 0.1) -> None:
    """Move all factors, so that an adapter changes something."""
    drawn = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            noise = torch.randn(parameter.shape, generator=drawn, dtype=torch.float64)
            parameter.add_((size * noise).to(parameter))
