"""Kind ``encoder``: a small transformer of its own, with a tokenizer made from the candidates."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from trimtab.engine.batching.allocator import suit_changing_shapes
from trimtab.models.nets.networks import SIZES, Encoder
from trimtab.models.pairs import PairTokenizer, render_pair
from trimtab.steering.fitted import ModelAccess
from trimtab.training.rerankers.config import EnergyConfig
from trimtab.training.rerankers.energies import EnergyModel, PairText, padded
from trimtab.training.rerankers.jobs import Job, device, seeded, told, train


class EncoderEnergy(EnergyModel):
    """An encoder with a tokenizer of its own."""

    kind = "encoder"
    module: Encoder

    def __init__(self, module: Encoder, tokenizer: PairTokenizer, device: torch.device) -> None:
        """Take the parts; the module is moved to ``device``."""
        super().__init__()
        suit_changing_shapes()
        self.module = module.to(device)
        self.tokenizer = tokenizer
        self.device = device

    def prepare(self, pairs: Sequence[PairText]) -> list[Any]:
        """Return token ids, and count the pairs that were cut."""
        found = self.tokenizer.encode([render_pair(*pair) for pair in pairs])
        self.cut += sum(tokens.cut > 0 for tokens in found)
        return list(found)

    def lengths(self, prepared: Sequence[Any]) -> list[int]:
        """Return the numbers of tokens."""
        return [len(one.ids) for one in prepared]

    def forward(self, prepared: Sequence[Any]) -> torch.Tensor:
        """Return energies [B]."""
        lengths = torch.tensor([len(one.ids) for one in prepared], device=self.device)
        starts = torch.tensor([one.answer_from for one in prepared], device=self.device)
        ids_BT = padded([one.ids for one in prepared], self.device)
        energy_B: torch.Tensor = self.module(ids_BT, lengths, starts)
        return energy_B


def fit(job: Job, _: ModelAccess | None) -> tuple[EnergyModel, dict[str, Any]]:
    """Train an encoder, with a tokenizer made from the fit split."""
    shape = SIZES[job.config.size]
    pairs = [render_pair(g.problem, text) for g in job.fit.groups for text in g.texts]
    tokenizer = PairTokenizer.train(pairs, shape.vocabulary, shape.max_length)
    with seeded(job.seed):
        net = Encoder(shape, tokenizer.size, loops=job.config.loops, positions=job.config.positions)
    model = EncoderEnergy(net, tokenizer, device())
    job.fence()
    tokenizer.save(job.folder / "tokenizer.json")
    outcome = train(job, model)
    return model, {**told(outcome), "vocabulary": tokenizer.size}


def load(
    config: EnergyConfig, info: dict[str, Any], folder: Path, _: ModelAccess | None
) -> EnergyModel:
    """Return an encoder with weights to be read."""
    shape = SIZES[config.size]
    tokenizer = PairTokenizer.load(folder / "tokenizer.json", shape.max_length)
    net = Encoder(shape, info["vocabulary"], loops=config.loops, positions=config.positions)
    return EncoderEnergy(net, tokenizer, device())
