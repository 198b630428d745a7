"""Read block outputs: padding never enters a mean, sums are float64, NaN and infinity are errors.

Shapes: B rows, Q tokens, H hidden, L layers asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import nn

from trimtab.core.errors import ConfigError
from trimtab.engine.cache import KVCache
from trimtab.engine.edits import NO_EDITS, BatchEdits
from trimtab.engine.nonfinite import locate
from trimtab.engine.request import Activations, ActivationsResult, Request
from trimtab.engine.rows import PaddingSide, run
from trimtab.models.load import LoadedModel


class _DeepestLayerReached(Exception):
    """A signal, not an error: what lies above the deepest layer is not computed."""


def capture(
    loaded: LoadedModel, requests: Sequence[Request], padding_side: PaddingSide
) -> Iterator[ActivationsResult]:
    """Yield mean activations of each request, reading all of its layers in one pass."""
    wants = [_want(loaded, r) for r in requests]
    rows = [(*r.prompt, *w.continuation) for r, w in zip(requests, wants, strict=True)]
    width = max(len(row) for row in rows)
    ids = torch.zeros((len(rows), width), dtype=torch.long)
    positions = torch.full((len(rows), width), -1, dtype=torch.long)
    for i, row in enumerate(rows):
        at = width - len(row) if padding_side == "left" else 0
        ids[i, at : at + len(row)] = torch.tensor(row)
        positions[i, at : at + len(row)] = torch.arange(len(row))
    position_BQ = positions.to(loaded.device)
    start_B1 = torch.tensor([[w.start] for w in wants], device=loaded.device)
    stop_B1 = torch.tensor([[w.stop] for w in wants], device=loaded.device)
    read_BQ = (position_BQ >= start_B1) & (position_BQ < stop_B1)
    layers = sorted({layer for want in wants for layer in want.layers})
    edits = BatchEdits([(r.edits, len(r.prompt)) for r in requests], loaded.device, loaded.dtype)
    means, norms = _read(loaded, edits, ids.to(loaded.device), position_BQ, read_BQ, layers)
    for i, (request, want) in enumerate(zip(requests, wants, strict=True)):
        mean_LH = torch.stack([means[layer][i] for layer in want.layers]).float()
        norm_L = torch.stack([norms[layer][i] for layer in want.layers]).float()
        if not (torch.isfinite(mean_LH).all() and torch.isfinite(norm_L).all()):
            raise locate(loaded, request.key, rows[i], len(request.prompt), request.edits)
        yield ActivationsResult(request.key, mean_LH, norm_L)


def _want(loaded: LoadedModel, request: Request) -> Activations:
    want = request.want
    assert isinstance(want, Activations)
    length = len(request.prompt) + len(want.continuation)
    if not 0 <= want.start < want.stop <= length:
        raise ConfigError(
            f"Request {request.key!r} reads positions {want.start} to {want.stop}"
            f" of {length} tokens."
        )
    if not want.layers or not all(0 <= x < loaded.layout.num_layers for x in want.layers):
        raise ConfigError(
            f"Request {request.key!r} reads layers {want.layers}; the model has blocks 0 to "
            f"{loaded.layout.num_layers - 1}."
        )
    return want


def _read(
    loaded: LoadedModel,
    edits: BatchEdits,
    ids_BQ: torch.Tensor,
    position_BQ: torch.Tensor,
    read_BQ: torch.Tensor,
    layers: list[int],
) -> tuple[dict[int, torch.Tensor], dict[int, torch.Tensor]]:
    """Return {layer: mean [B, H]} and {layer: mean norm [B]}, both float64 on the CPU."""
    means: dict[int, torch.Tensor] = {}
    norms: dict[int, torch.Tensor] = {}
    count_B = read_BQ.sum(dim=1).double()

    def reader(layer: int) -> Any:
        def hook(_module: nn.Module, _args: Any, output: Any) -> None:
            h_BQH = output[0] if isinstance(output, tuple) else output
            # where, not multiply: NaN in a padding position must not leak through 0 * NaN
            kept_BQH = torch.where(read_BQ[:, :, None], h_BQH, 0).double()
            means[layer] = (kept_BQH.sum(dim=1) / count_B[:, None]).cpu()
            norms[layer] = (kept_BQH.norm(dim=-1).sum(dim=1) / count_B).cpu()
            if layer == layers[-1]:
                raise _DeepestLayerReached

        return hook

    blocks = loaded.layout.blocks
    cache = KVCache(ids_BQ.shape[0], ids_BQ.shape[1], loaded.device)
    # edit hooks come first, so that what is read is what the next block sees
    with edits.applied(blocks, position_BQ):
        handles = [blocks[layer].register_forward_hook(reader(layer)) for layer in layers]
        try:
            run(loaded, cache, NO_EDITS, ids_BQ, position_BQ)
        except _DeepestLayerReached:
            return means, norms
        finally:
            for handle in handles:
                handle.remove()
    raise AssertionError("the deepest layer was not reached")
