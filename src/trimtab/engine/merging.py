"""Put an adapter into the weights of a model, and say how far that moves its numbers."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from trimtab.core.errors import ModelError
from trimtab.engine.engine import Engine
from trimtab.engine.reading.likelihood import Learned, token_logprobs
from trimtab.models.lowrank import Adapter, LowRank

TOLERANCE = {"float32": 1e-3, "bfloat16": 0.3, "float16": 0.1}
"""Largest difference of a token's log-probability (nats) that is rounding, by number format."""


def merge(engine: Engine, adapter: Adapter, texts: Sequence[tuple[int, ...]]) -> float:
    """Merge ``adapter`` into the weights of the engine's model, which nobody else may use.

    Args:
        engine: Its model must not be quantised.
        adapter: What is merged; sums are made in float64 and rounded once.
        texts: Tokens on which merged and unmerged are compared.

    Returns:
        The largest difference of a token's log-probability (nats).

    Raises:
        ModelError: The model is quantised, or the two differ by more than rounding does.
    """
    spec = engine.loaded.resolved.spec
    if spec.quantization is not None:
        raise ModelError(
            f"An adapter can't be merged into weights in {spec.quantization}: rounding them again "
            "would change what it does.",
            hint="Export it as an adapter, or name a model that is not quantised.",
        )
    before = _logprobs(engine, texts, adapter)
    with torch.no_grad():
        for layer, factors in adapter.by_block.items():
            for inner, factor in factors.items():
                _add(engine.loaded.layout.blocks[layer].get_submodule(inner), factor)
    after = _logprobs(engine, texts, None)
    far = float((before - after).abs().max())
    if not far <= TOLERANCE[spec.dtype]:
        raise ModelError(
            f"Merged, the model's log-probabilities differ by {far:.3g} nats from those with the "
            f"adapter beside it; in {spec.dtype} up to {TOLERANCE[spec.dtype]} are rounding.",
            hint="Merge in float32 (`--dtype float32`), or export the adapter as it is.",
        )
    return far


def _add(module: torch.nn.Module, factor: LowRank) -> None:
    weight: torch.Tensor = module.weight  # type: ignore[assignment]
    up, down = factor.up.double().to(weight.device), factor.down.double().to(weight.device)
    change = factor.scaling * (up @ down)
    if type(module).__name__ == "Conv1D":
        change = change.T
    weight.copy_(weight.double() + change)


@torch.no_grad()
def _logprobs(
    engine: Engine, texts: Sequence[tuple[int, ...]], adapter: Adapter | None
) -> torch.Tensor:
    rows = [Learned(text, tuple(range(1, len(text))), adapter) for text in texts]
    return torch.cat(token_logprobs(engine.loaded, engine.head, rows)).cpu()
