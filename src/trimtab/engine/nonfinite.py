"""Find where NaN or infinity came from, and say so."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import torch
from torch import nn

from trimtab.core.errors import NonFiniteError
from trimtab.engine.cache import KVCache
from trimtab.engine.edits import NO_EDITS, BatchEdits
from trimtab.engine.request import Edit
from trimtab.engine.rows import run
from trimtab.models.load import LoadedModel


def locate(
    loaded: LoadedModel,
    key: Hashable,
    tokens: Sequence[int],
    num_prompt: int,
    edits: tuple[Edit, ...],
) -> NonFiniteError:
    """Return the error that names the first layer, row and position where values are not finite.

    Runs the row again on its own, block by block, with its edits and, if that fails, without them.
    """
    where = _first(loaded, tokens, num_prompt, edits)
    what = f"Non-finite values for row {key!r}"
    if where is None:
        return NonFiniteError(
            f"{what}: the logits are not finite, though every block output of the row alone is.",
            hint="Try dtype float32, or a smaller batch; see docs/errors.md.",
        )
    name, position = where
    part = "prompt" if position < num_prompt else "generated"
    message = f"{what}: first at {name}, position {position} ({part} part, {len(tokens)} tokens)."
    bad = _bad_parameters(loaded, name)
    if bad:
        return NonFiniteError(
            f"{message} The weights {bad} hold NaN or infinity.",
            hint="The checkpoint is damaged: download or convert it again.",
        )
    if edits and _first(loaded, tokens, num_prompt, ()) is None:
        sizes = ", ".join(
            f"layer {e.layer}: |strength * vector| = {abs(e.strength) * e.vector.norm():.3g}"
            for e in edits
        )
        return NonFiniteError(
            f"{message} Without its edits ({sizes}) the row is finite.",
            hint="Lower the strength, or run in float32.",
        )
    return NonFiniteError(
        f"{message} The model runs in {str(loaded.dtype).removeprefix('torch.')}.",
        hint="Try `-o model.dtype=float32`, shorter prompts, or one device.",
    )


def _first(
    loaded: LoadedModel, tokens: Sequence[int], num_prompt: int, edits: tuple[Edit, ...]
) -> tuple[str, int] | None:
    """Return (module name, position) of the first non-finite output, embeddings included."""
    found: list[tuple[str, int]] = []

    def watch(name: str) -> Any:
        def hook(_module: nn.Module, _args: Any, output: Any) -> None:
            h_BQH = output[0] if isinstance(output, tuple) else output
            bad_Q = ~torch.isfinite(h_BQH[0]).all(dim=-1)
            if not found and bool(bad_Q.any()):
                found.append((name, int(bad_Q.nonzero()[0])))

        return hook

    layout = loaded.layout
    position_BQ = torch.arange(len(tokens), device=loaded.device)[None]
    ids = torch.tensor([list(tokens)], device=loaded.device)
    batch = BatchEdits([(edits, num_prompt)], loaded.device, loaded.dtype)
    # the engine's own forward, with its mask: torch's unmasked attention can swallow NaN
    cache = KVCache(1, len(tokens), loaded.device)
    with torch.no_grad(), batch.applied(layout.blocks, position_BQ):
        handles = [
            module.register_forward_hook(watch(name))
            for module, name in zip(layout.blocks, layout.block_names, strict=True)
        ]
        embedding = loaded.model.get_input_embeddings()
        handles.append(embedding.register_forward_hook(watch("the input embeddings")))
        try:
            run(loaded, cache, NO_EDITS, ids, position_BQ)
        finally:
            for handle in handles:
                handle.remove()
    return found[0] if found else None


def _bad_parameters(loaded: LoadedModel, name: str) -> str:
    modules = dict(zip(loaded.layout.block_names, loaded.layout.blocks, strict=True))
    module = modules.get(name, loaded.model.get_input_embeddings())
    bad = [n for n, p in module.named_parameters() if not bool(torch.isfinite(p).all())]
    return ", ".join(bad[:3])
