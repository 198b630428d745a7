"""Kinds ``length`` and ``format``: how long a candidate is, and which marks it holds."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import torch

from trimtab.models.nets.networks import Head
from trimtab.steering.fitted import ModelAccess
from trimtab.text.overlap import words
from trimtab.training.rerankers.config import EnergyConfig
from trimtab.training.rerankers.energies import EnergyModel, PairText
from trimtab.training.rerankers.jobs import Job, seeded, told, train

Kind = Literal["length", "format"]

_NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?")
_ENDS_IN_NUMBER = re.compile(r"\d[.)\]}$%*\s]*$")


def length_features(text: str) -> list[float]:
    """Return logarithms of characters, words and lines."""
    counts = (len(text), len(words(text)), text.strip().count("\n") + 1)
    return [math.log1p(count) for count in counts]


def format_features(text: str) -> list[float]:
    """Return which marks of an answer are there, and shares of digits and line breaks.

    None of them grows with length alone.
    """
    visible = max(1, sum(not char.isspace() for char in text))
    return [
        float("####" in text),
        float("\\boxed" in text),
        float("answer is" in text.casefold()),
        float("**" in text),
        float("<<" in text),
        float("=" in text),
        float(_NUMBER.search(text) is not None),
        float(_ENDS_IN_NUMBER.search(text) is not None),
        sum(char.isdigit() for char in text) / visible,
        text.strip().count("\n") / visible,
    ]


FEATURES: dict[Kind, Callable[[str], list[float]]] = {
    "length": length_features,
    "format": format_features,
}


class SurfaceEnergy(EnergyModel):
    """A linear model of a text's length or format: no reranker worth its name is worse."""

    module: Head

    def __init__(self, module: Head, kind: Kind) -> None:
        """Take the parts; ``kind`` is ``length`` or ``format``."""
        self.kind = kind
        super().__init__()
        self.module = module

    def prepare(self, pairs: Sequence[PairText]) -> list[Any]:
        """Return the counts of each text; the problem is not looked at."""
        return [torch.tensor(FEATURES[self._what()](text)) for _, text in pairs]

    def forward(self, prepared: Sequence[Any]) -> torch.Tensor:
        """Return energies [B]."""
        energy_B: torch.Tensor = self.module(torch.stack(list(prepared)))
        return energy_B

    def _what(self) -> Kind:
        return "length" if self.kind == "length" else "format"


def fit(job: Job, _: ModelAccess | None) -> tuple[EnergyModel, dict[str, Any]]:
    """Train a linear model."""
    with seeded(job.seed):
        model = _surface(job.config)
    prepared = model.prepare([(g.problem, t) for g in job.fit.groups for t in g.texts])
    model.module.standardise(torch.stack(prepared))
    return model, told(train(job, model))


def load(config: EnergyConfig, _: dict[str, Any], __: Path, ___: ModelAccess | None) -> EnergyModel:
    """Return a linear model with weights to be read."""
    return _surface(config)


def _surface(config: EnergyConfig) -> SurfaceEnergy:
    kind: Kind = "length" if config.kind == "length" else "format"
    return SurfaceEnergy(Head(len(FEATURES[kind]("")), inner=0), kind)
