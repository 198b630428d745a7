"""Kind ``lora``: the language model itself with an adapter, and an energy at its last token."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from trimtab.core.errors import DataError, ModelError
from trimtab.engine.reading.gradients import last_hidden
from trimtab.models.nets.verifier import Verifier
from trimtab.models.pairs import render_pair
from trimtab.steering.fitted import ModelAccess
from trimtab.training.rerankers.config import EnergyConfig
from trimtab.training.rerankers.energies import EnergyModel, PairText
from trimtab.training.rerankers.jobs import Job, needed, seeded, told, train

if TYPE_CHECKING:
    from trimtab.engine.engine import Engine


class LoraEnergy(EnergyModel):
    """A language model with LoRA and an energy from the last token's state.

    The model is the one that others use, too: it runs through the engine with the verifier's
    adapter, each pair whole, so that gradients reach every factor.
    """

    kind = "lora"
    module: Verifier

    def __init__(self, module: Verifier, engine: Engine) -> None:
        """Take the parts; the verifier is one of the engine's model."""
        super().__init__()
        loaded = engine.loaded
        self.module = module
        self.loaded = loaded
        self._limit = engine.max_positions

    def prepare(self, pairs: Sequence[PairText]) -> list[Any]:
        """Return token ids: BOS if the model has one, question, answer, end of text.

        Raises:
            DataError: A pair is longer than the model's positions.
            ModelError: The model has no token that ends a text.
        """
        encode = self.loaded.renderer.encode
        bos, eos = self.loaded.tokenizer.bos_token_id, self.loaded.tokenizer.eos_token_id
        if eos is None:
            raise ModelError("The model has no end-of-text token for a verifier to read at.")
        rows = []
        for problem, text in pairs:
            pair = render_pair(problem, text)
            body = [*encode(pair.question), *encode(pair.answer), eos]
            rows.append(body if bos is None or body[:1] == [bos] else [bos, *body])
        longest = max(map(len, rows), default=0)
        if self._limit is not None and longest > self._limit:
            raise DataError(
                f"A pair has {longest} tokens, the verifier has positions for {self._limit}.",
                hint="Give the candidates a smaller max_tokens.",
            )
        return rows

    def lengths(self, prepared: Sequence[Any]) -> list[int]:
        """Return the numbers of tokens."""
        return [len(one) for one in prepared]

    def forward(self, prepared: Sequence[Any]) -> torch.Tensor:
        """Return energies [B]."""
        rows = [tuple(row) for row in prepared]
        hidden_BH = last_hidden(self.loaded, rows, self.module.adapter)
        energy_B: torch.Tensor = self.module(hidden_BH.to(self.loaded.device))
        return energy_B


def fit(job: Job, subject: ModelAccess | None) -> tuple[EnergyModel, dict[str, Any]]:
    """Train an adapter and the energy that reads it."""
    with seeded(job.seed):
        model = _verifier(job.config, needed(subject))
    return model, {**told(train(job, model)), "model": needed(subject).identity}


def load(
    config: EnergyConfig, _: dict[str, Any], __: Path, subject: ModelAccess | None
) -> EnergyModel:
    """Return a verifier with weights to be read."""
    return _verifier(config, needed(subject))


def _verifier(config: EnergyConfig, subject: ModelAccess) -> EnergyModel:
    engine = subject.engine()
    return LoraEnergy(Verifier(engine.loaded, config.rank), engine)
