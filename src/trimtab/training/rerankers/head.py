"""Kind ``head``: a small network on hidden states of the model that wrote the candidates."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from trimtab.core.errors import DataError
from trimtab.core.types import Message
from trimtab.engine.request import Activations, ActivationsResult, Request
from trimtab.models.nets.networks import Head
from trimtab.steering.fitted import ModelAccess
from trimtab.training.course import Outcome
from trimtab.training.rerankers.config import EnergyConfig
from trimtab.training.rerankers.energies import EnergyModel, PairText
from trimtab.training.rerankers.jobs import Job, needed, seeded, told
from trimtab.training.rerankers.ranking import Prepared

if TYPE_CHECKING:
    from trimtab.engine.engine import Engine


class HeadEnergy(EnergyModel):
    """A small network on the hidden states of the model that wrote the candidates.

    Reads the output of one block: the mean over the answer's tokens, and its last token, of the
    chat (or, without a template, ``Q:``/``A:``) rendering of problem and answer, no edits.
    """

    kind = "head"
    module: Head

    def __init__(self, module: Head, engine: Engine, layer: int) -> None:
        """Take the parts; ``layer`` is a 0-based block."""
        super().__init__()
        self.module = module
        self.engine = engine
        self.layer = layer

    def prepare(self, pairs: Sequence[PairText]) -> list[Any]:
        """Return the states [2 * hidden] of each pair."""
        return [states[0] for states in hidden_states(self.engine, pairs, (self.layer,))]

    def forward(self, prepared: Sequence[Any]) -> torch.Tensor:
        """Return energies [B]."""
        energy_B: torch.Tensor = self.module(torch.stack(list(prepared)))
        return energy_B


def hidden_states(
    engine: Engine, pairs: Sequence[PairText], layers: tuple[int, ...]
) -> list[torch.Tensor]:
    """Return for each pair float32 [layers, 2 * hidden]: mean and last token of the answer.

    An answer without tokens has the state of the prompt's last token, which it leaves as it is.

    Raises:
        DataError: A pair is longer than the model's positions.
    """
    renderer = engine.renderer
    rendering: Any = "chat" if renderer.has_template else "plain"
    requests, rows = [], range(len(pairs))
    for row, (problem, text) in zip(rows, pairs, strict=True):
        messages = (Message(role="user", content=problem),)
        if text.strip():
            prompt, (answer,) = renderer.with_answers(messages, [text], rendering)
        else:
            prompt, answer = renderer.prompt(messages, rendering), []
        stop = len(prompt) + len(answer)
        if engine.max_positions is not None and stop > engine.max_positions:
            raise DataError(
                f"A problem with its answer has {stop} tokens, the model has positions for "
                f"{engine.max_positions}: {problem[:60]!r}.",
                hint="Give the candidates a smaller max_tokens.",
            )
        start = len(prompt) if answer else stop - 1
        want = Activations(layers, tuple(answer), start, stop, each=True)
        requests.append(Request(row, tuple(prompt), want))
    found: dict[Hashable, torch.Tensor] = {}
    for result in engine.run(requests):
        assert isinstance(result, ActivationsResult) and result.each_PLH is not None
        found[result.key] = torch.cat([result.mean_LH, result.each_PLH[-1]], dim=-1)
    return [found[row] for row in rows]


def fit(job: Job, subject: ModelAccess | None) -> tuple[EnergyModel, dict[str, Any]]:
    """Train a head on each layer and keep the one that ranks the select split best."""
    engine = needed(subject).engine()
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
        with seeded(job.seed):
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
    return best, {**told(outcome), **about, "model": needed(subject).identity}


def load(
    _: EnergyConfig, info: dict[str, Any], __: Path, subject: ModelAccess | None
) -> EnergyModel:
    """Return a head with weights to be read."""
    engine = needed(subject).engine()
    return HeadEnergy(Head(2 * engine.hidden_size), engine, info["layer"])
